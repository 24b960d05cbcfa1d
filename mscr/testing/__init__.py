"""Servers, clients and checks for the tests of an application. Only tests import it."""
