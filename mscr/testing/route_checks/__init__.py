"""Checks of all routes, as classes for the tests of an application: `class TestX(XChecks): ...`."""
