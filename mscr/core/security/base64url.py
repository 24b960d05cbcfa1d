"""Base64url without padding (RFC 7515 §2), in its canonical form only."""

import base64


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode(text: str) -> bytes:
    """Decode canonical text. Raises `ValueError` for any text that `encode` does not return.

    Base64 is malleable: with other padding or unused last bits, another text decodes to the same
    bytes, and would be a second valid token.
    """
    padded = text.encode("ascii") + b"=" * (-len(text) % 4)
    raw = base64.b64decode(padded, altchars=b"-_", validate=True)
    if encode(raw) != text:
        raise ValueError("not the canonical text")
    return raw
