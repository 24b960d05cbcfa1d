"""Fuzzing of the catalogue, which has the kit's routes of many rows and of files."""

from examples.catalogue.tests.conftest import api_type, tested_project
from tests.fuzz.test_fuzz import test_every_response_to_a_generated_request_is_as_documented

__all__ = [
    "api_type",
    "test_every_response_to_a_generated_request_is_as_documented",
    "tested_project",
]
