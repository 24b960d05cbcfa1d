"""Requests generated from OpenAPI: `make fuzz` sends thousands to every route."""

from mscr.testing.route_checks.fuzzing import FuzzChecks


class TestFuzzing(FuzzChecks): ...
