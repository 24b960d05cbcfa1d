"""Engines, sessions and the first rows."""
