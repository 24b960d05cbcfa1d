"""Measures the application as it is served: `python -m benchmarks --help`."""
