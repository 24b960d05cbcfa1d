"""Public keys in the format of RFC 7517 and RFC 8037. Only the fields here are published."""

from typing import Literal

from pydantic import Field

from mscr.schemas.base import ResponseSchema


class PublicKeyResponse(ResponseSchema):
    use: Literal["sig"]
    kid: str = Field(
        description="The key's thumbprint (RFC 7638). The header of a token has the one of the key "
        "that signed it.",
        examples=["kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"],
    )


class OkpKeyResponse(PublicKeyResponse):
    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    alg: Literal["EdDSA"]
    x: str = Field(examples=["11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"])


class RsaKeyResponse(PublicKeyResponse):
    kty: Literal["RSA"]
    alg: Literal["RS256"]
    n: str = Field(description="The modulus.", examples=["0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2ai"])
    e: str = Field(description="The exponent.", examples=["AQAB"])


class JwksResponse(ResponseSchema):
    """A JWK Set; empty when access tokens are signed with a shared secret."""

    keys: list[OkpKeyResponse | RsaKeyResponse]
