"""Tests register with every field that an application requires, without a change of the tests."""

from enum import Enum
from typing import Annotated

import pytest
from pydantic import Field

from mscr.schemas.base import Email, Password, RequestSchema
from mscr.testing.api import PASSWORD, Api

EMAIL = "eve@example.com"
PATH = "/api/v1/auth/register"


class Plan(str, Enum):
    FREE = "free"
    PAID = "paid"


class Registration(RequestSchema):
    email: Email
    password: Password
    full_name: Annotated[str, Field(examples=["Ada"])] | None = None
    country: Annotated[str, Field(pattern="^[A-Z]{2}$", examples=["NO"])]
    plan: Plan


class WithoutExample(RequestSchema):
    country: str


class Steps(Api):
    registration_schema = Registration


class Unfit(Api):
    registration_schema = WithoutExample


def test_a_required_field_has_its_example_and_an_optional_one_is_left_out() -> None:
    body = {"email": EMAIL, "password": PASSWORD, "country": "NO", "plan": "free"}

    assert Steps.registration(EMAIL, PASSWORD) == (PATH, body)


def test_without_a_schema_only_the_address_and_the_password_are_sent() -> None:
    assert Api.registration(EMAIL, PASSWORD) == (PATH, {"email": EMAIL, "password": PASSWORD})


def test_a_required_field_without_an_example_is_named() -> None:
    with pytest.raises(LookupError, match=r"WithoutExample\.country"):
        Unfit.registration(EMAIL, PASSWORD)
