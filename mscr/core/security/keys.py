"""Keys for a single purpose, derived from the root secret (HKDF-Expand, RFC 5869 §2.3).

This limits a leaked key, and a token of one kind presented as another, to one purpose.
"""

import hmac
from collections.abc import Sequence

from pydantic import SecretStr

REFRESH_TOKEN = "refresh-token"  # noqa: S105  # a purpose, not a secret
CURSOR = "cursor"
ENCRYPTION = "encryption"


def derive_key(secret: SecretStr, purpose: str) -> bytes:
    """Derive 32 bytes from `secret` and `purpose`."""
    return hmac.digest(secret.get_secret_value().encode(), purpose.encode() + b"\x01", "sha256")


def derive_keys(current: SecretStr, previous: Sequence[SecretStr], purpose: str) -> list[bytes]:
    """Return the current key, then the previous ones that are still accepted."""
    return [derive_key(secret, purpose) for secret in (current, *previous)]
