"""Encryption of single fields at rest, with key rotation and a bound context."""

import base64
import hashlib
import hmac
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from mscr.core.config import Settings
from mscr.core.security import keys as derived_keys

_CONTEXT_TAG_BYTES = 32


class DecryptionError(Exception):
    """The ciphertext is damaged, encrypted with an unknown key, or from another row or column."""


class EncryptionService:
    """Fernet with several keys: the first encrypts, all decrypt.

    `context` identifies the row and column of the value, for instance
    `users:{public_id}:totp_seed`, as `mscr.models.base.encryption_context` does. Fernet has no
    associated data, so the digest of the context is part of the plaintext: a ciphertext that an
    attacker copies to another row or column is refused there.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        fernets = [Fernet(base64.urlsafe_b64encode(key)) for key in keys]
        self._newest = fernets[0]
        self._fernet = MultiFernet(fernets)

    @classmethod
    def from_settings(cls, settings: Settings) -> "EncryptionService":
        current, previous = settings.SECRET_KEY, settings.SECRET_KEY_PREVIOUS
        return cls(derived_keys.derive_keys(current, previous, derived_keys.ENCRYPTION))

    def encrypt(self, value: str, *, context: str) -> str:
        return self._fernet.encrypt(self._tag(context) + value.encode()).decode()

    def decrypt(self, ciphertext: str, *, context: str) -> str:
        """Raises `DecryptionError`."""
        try:
            plaintext = self._fernet.decrypt(ciphertext.encode())
        except (InvalidToken, UnicodeEncodeError):
            raise DecryptionError("unknown key or damaged ciphertext") from None
        tag, value = plaintext[:_CONTEXT_TAG_BYTES], plaintext[_CONTEXT_TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(context)):
            raise DecryptionError("the ciphertext belongs to another row or column")
        return value.decode()

    def is_current(self, ciphertext: str) -> bool:
        """Whether the newest key encrypted it, so that no previous key is needed."""
        try:
            self._newest.decrypt(ciphertext.encode())
        except (InvalidToken, UnicodeEncodeError):
            return False
        return True

    def rotate(self, ciphertext: str) -> str:
        """Re-encrypt with the newest key, keeping the context. Raises `DecryptionError`."""
        try:
            return self._fernet.rotate(ciphertext.encode()).decode()
        except (InvalidToken, UnicodeEncodeError):
            raise DecryptionError("unknown key or damaged ciphertext") from None

    @staticmethod
    def _tag(context: str) -> bytes:
        return hashlib.sha256(context.encode()).digest()
