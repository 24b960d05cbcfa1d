"""Pending registrations, stored only in the token of the mailed link.

The database stores an address only after its owner has confirmed it. Until then the registration
exists only in the token, which only the server can create and decrypt.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from pydantic import AwareDatetime, BaseModel, Field, ValidationError, create_model
from pydantic.fields import FieldInfo

from mscr.core.exceptions import InvalidRegistrationTokenError
from mscr.core.security.encryption import DecryptionError, EncryptionService

# Other values that are encrypted with the same key cannot pass for a registration.
CONTEXT: Final = "registration-token"


class PendingRegistration(BaseModel):
    """The future account. `public_id` is chosen now, so that a replayed token creates no second."""

    public_id: str
    email: str = Field(repr=False)
    password_hash: str = Field(repr=False)


PendingT = TypeVar("PendingT", bound=PendingRegistration)


def pending_registration(schema: type[BaseModel]) -> type[PendingRegistration]:
    """Return the class for registrations of `schema`: all its fields, with the password hashed.

    A field has its default: a link from before the field was added is still valid.
    """
    fields: dict[str, Any] = {
        name: (field.rebuild_annotation(), _hidden(field))
        for name, field in schema.model_fields.items()
        if name != "password" and name not in PendingRegistration.model_fields
    }
    return create_model("PendingRegistration", __base__=PendingRegistration, **fields)


def _hidden(field: FieldInfo) -> Any:
    if field.is_required():
        return Field(repr=False)
    if field.default_factory is not None:
        return Field(default_factory=field.default_factory, repr=False)
    return Field(field.default, repr=False)


class _Expiry(BaseModel):
    expires_at: AwareDatetime


class RegistrationTokenCodec:
    def __init__(self, encryption: EncryptionService, *, lifetime: timedelta) -> None:
        self._encryption = encryption
        self.lifetime = lifetime

    def issue(self, registration: PendingRegistration) -> str:
        expiry = _Expiry(expires_at=datetime.now(UTC) + self.lifetime)
        claims = registration.model_dump(mode="json") | expiry.model_dump(mode="json")
        return self._encryption.encrypt(json.dumps(claims), context=CONTEXT)

    def read(self, token: str, pending: type[PendingT]) -> PendingT:
        """Return the registration. Any fault raises the same `InvalidRegistrationTokenError`."""
        try:
            claims = self._encryption.decrypt(token, context=CONTEXT)
            expiry = _Expiry.model_validate_json(claims)
            registration = pending.model_validate_json(claims)
        except (DecryptionError, ValidationError):
            # A token of another release may have other fields.
            raise InvalidRegistrationTokenError from None
        if expiry.expires_at <= datetime.now(UTC):
            raise InvalidRegistrationTokenError
        return registration
