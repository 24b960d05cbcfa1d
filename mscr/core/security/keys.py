"""Keys for one purpose each, derived from the root secret (HKDF-Expand, RFC 5869 §2.3).

A key that leaks, or a token that is taken for another kind, then opens one door only.
"""

import hmac
from collections.abc import Sequence

from pydantic import SecretStr

REFRESH_TOKEN = "refresh-token"  # noqa: S105  # a purpose, not a secret
CURSOR = "cursor"
ENCRYPTION = "encryption"


def derive_key(secret: SecretStr, purpose: str) -> bytes:
    """32 bytes that only `secret` and `purpose` together give."""
    return hmac.digest(secret.get_secret_value().encode(), purpose.encode() + b"\x01", "sha256")


def derive_keys(current: SecretStr, previous: Sequence[SecretStr], purpose: str) -> list[bytes]:
    """The key to make things with, then the earlier ones that are still accepted."""
    return [derive_key(secret, purpose) for secret in (current, *previous)]
