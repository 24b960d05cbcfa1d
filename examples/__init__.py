"""Further applications of the kit, to read and to take parts from."""
