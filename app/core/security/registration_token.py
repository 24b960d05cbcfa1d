"""Registrations that wait for their confirmation, in the token of the link that is mailed.

The database learns of an address when somebody has proved to own it: until then all there is of a
registration is in the token, which the server alone can make and read.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from app.core.exceptions import InvalidRegistrationTokenError
from app.core.security.encryption import DecryptionError, EncryptionService

# Nothing else that is encrypted with the same key is a registration.
CONTEXT: Final = "registration-token"


class PendingRegistration(BaseModel):
    """What becomes an account. `public_id` is chosen now, so that no token makes two of them."""

    public_id: str
    email: str = Field(repr=False)
    full_name: str | None = Field(repr=False)
    password_hash: str = Field(repr=False)


class _Claims(PendingRegistration):
    expires_at: AwareDatetime


class RegistrationTokenCodec:
    def __init__(self, encryption: EncryptionService, *, lifetime: timedelta) -> None:
        self._encryption = encryption
        self.lifetime = lifetime

    def issue(self, registration: PendingRegistration) -> str:
        expires_at = datetime.now(UTC) + self.lifetime
        claims = _Claims(**registration.model_dump(), expires_at=expires_at)
        return self._encryption.encrypt(claims.model_dump_json(), context=CONTEXT)

    def read(self, token: str) -> PendingRegistration:
        """Raises `InvalidRegistrationTokenError`, the same for whatever is wrong."""
        try:
            claims = _Claims.model_validate_json(self._encryption.decrypt(token, context=CONTEXT))
        except (DecryptionError, ValidationError):
            # One of another release may have other fields.
            raise InvalidRegistrationTokenError from None
        if claims.expires_at <= datetime.now(UTC):
            raise InvalidRegistrationTokenError
        return PendingRegistration(**claims.model_dump(exclude={"expires_at"}))
