"""Requests that are generated from OpenAPI, whose scheme of tokens is that of the contract."""

from mscr.testing.route_checks.fuzzing import FuzzChecks


class TestFuzzing(FuzzChecks): ...
