"""Base64url without padding (RFC 7515 §2), of which one text only stands for any bytes."""

import base64


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode(text: str) -> bytes:
    """Raises `ValueError` for every text that `encode` does not make.

    Base64 as such has several texts for the same bytes: altered padding and unused last bits
    would make another token of the same worth.
    """
    padded = text.encode("ascii") + b"=" * (-len(text) % 4)
    raw = base64.b64decode(padded, altchars=b"-_", validate=True)
    if encode(raw) != text:
        raise ValueError("not the canonical text")
    return raw
