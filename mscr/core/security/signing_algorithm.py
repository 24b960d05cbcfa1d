"""The algorithms that may sign access tokens. Only the configured one is accepted."""

from enum import Enum as PyEnum


class SigningAlgorithm(str, PyEnum):
    """The values of JWT_ALGORITHM: names in JOSE (RFC 7518 §3.1, RFC 8037 §3.1)."""

    HS256 = "HS256"
    EDDSA = "EdDSA"
    RS256 = "RS256"
