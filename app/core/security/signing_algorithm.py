"""The algorithms that may sign access tokens. One is set, and no other is ever accepted."""

from enum import Enum as PyEnum


class SigningAlgorithm(str, PyEnum):
    """By their names in JOSE (RFC 7518 §3.1, RFC 8037 §3.1)."""

    HS256 = "HS256"
    EDDSA = "EdDSA"
    RS256 = "RS256"
