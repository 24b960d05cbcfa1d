"""Real PostgreSQL and Valkey servers, started for the tests and gone after them."""
