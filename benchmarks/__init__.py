"""Benchmarks of the application, served as in production: `python -m benchmarks --help`."""
