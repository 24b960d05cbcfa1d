"""A pending registration has every field of the schema, and the defaults of missing ones."""

from datetime import date, timedelta
from typing import Annotated

import pytest
from pydantic import MISSING, BaseModel, Field

from examples.catalogue.core.config import Settings
from mscr.core.security.encryption import EncryptionService
from mscr.core.security.registration_token import (
    PendingRegistration,
    RegistrationTokenCodec,
    pending_registration,
)


class Before(BaseModel):
    email: str
    password: str
    full_name: str | None = None


class After(Before):
    phone: Annotated[str | None, Field(max_length=40)] = None
    born_on: date | None = None
    plan: str = "free"
    tags: list[str] = Field(default_factory=list)
    size: int | MISSING = MISSING


@pytest.fixture
def codec() -> RegistrationTokenCodec:
    settings = Settings.from_env_file(None)
    encryption = EncryptionService.from_settings(settings)
    return RegistrationTokenCodec(encryption, lifetime=timedelta(hours=1))


def mailed(codec: RegistrationTokenCodec, data: Before) -> str:
    made = pending_registration(type(data))
    values = data.model_dump(exclude={"email", "password"})
    return codec.issue(made(public_id="1", email=data.email, password_hash="!", **values))


def columns(registration: PendingRegistration) -> dict[str, object]:
    return registration.model_dump(exclude={"public_id", "email", "password_hash"})


def test_a_mailed_registration_has_all_fields(codec: RegistrationTokenCodec) -> None:
    data = After(
        email="ada@example.com",
        password="a secret",
        full_name="Ada",
        phone="+47 12",
        born_on=date(1815, 12, 10),
        plan="paid",
        tags=["a"],
        size=3,
    )

    read = codec.read(mailed(codec, data), pending_registration(After))

    assert columns(read) == data.model_dump(exclude={"email", "password"})
    assert "+47" not in repr(read)


def test_a_field_that_was_not_sent_stays_missing(codec: RegistrationTokenCodec) -> None:
    data = After(email="ada@example.com", password="a secret")

    read = codec.read(mailed(codec, data), pending_registration(After))

    assert columns(read) == {
        "full_name": None,
        "phone": None,
        "born_on": None,
        "plan": "free",
        "tags": [],
    }


def test_a_link_from_before_a_field_was_added_is_valid(codec: RegistrationTokenCodec) -> None:
    data = Before(email="ada@example.com", password="a secret", full_name="Ada")

    read = codec.read(mailed(codec, data), pending_registration(After))

    assert (columns(read)["full_name"], columns(read)["plan"]) == ("Ada", "free")
