"""Access tokens: signed JWTs (RFC 9068), verified as RFC 8725 recommends."""

import time
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import jwt
from pydantic import BaseModel, ConfigDict, ValidationError
from uuid_utils.compat import uuid7

from mscr.core.config import Settings
from mscr.core.exceptions import MissingTokenError, UnauthorizedError
from mscr.core.security.key_ring import KeyRing, VerificationKey

# RFC 9068 §2.1: without its own type, a token issued for another purpose would be accepted here.
TOKEN_TYPE: Final = "at+jwt"  # noqa: S105  # a media type, not a secret
REQUIRED_CLAIMS: Final = ["iss", "aud", "sub", "sid", "jti", "iat", "exp"]
MAX_TOKEN_LENGTH: Final = 4096
# Clients send a token many times. Its signature is verified once, its lifetime at each request.
MAX_VERIFIED_TOKENS: Final = 10_000


class TokenClaims(BaseModel):
    """The claims of an access token. `sub` is the user's public id, `sid` the session's."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    iss: str
    aud: str
    sub: str
    sid: str
    jti: str
    iat: int
    exp: int


class JWTService:
    """Issues and verifies access tokens with the keys of one algorithm."""

    def __init__(
        self,
        keys: KeyRing,
        *,
        issuer: str,
        audience: str,
        lifetime: timedelta,
        leeway: timedelta,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._leeway = leeway
        self.lifetime = lifetime
        self._verified: dict[str, TokenClaims] = {}
        self._jwt = jwt.PyJWT({"enforce_minimum_key_length": True, "require": REQUIRED_CLAIMS})

    @classmethod
    def from_settings(cls, settings: Settings) -> "JWTService":
        return cls(
            KeyRing.from_settings(settings),
            issuer=settings.JWT_ISSUER,
            audience=settings.JWT_AUDIENCE,
            lifetime=settings.access_token_lifetime,
            leeway=timedelta(seconds=settings.JWT_LEEWAY_SECONDS),
        )

    def create_access_token(self, *, subject: str, session: str, now: datetime) -> str:
        """Sign a token for the user and the session with these public ids."""
        issued_at = int(now.timestamp())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": subject,
            "sid": session,
            "jti": str(uuid7()),
            "iat": issued_at,
            "exp": issued_at + int(self.lifetime.total_seconds()),
        }
        return self._jwt.encode(
            claims,
            self._keys.signing_key,
            algorithm=self._keys.algorithm.value,
            headers={"typ": TOKEN_TYPE, "kid": self._keys.kid},
        )

    def verify_access_token(self, token: str) -> TokenClaims:
        """Return the claims of a valid token. Raises `UnauthorizedError` for anything else."""
        if not token:
            raise MissingTokenError
        known = self._verified.get(token)
        if known is not None and self._is_in_time(known):
            return known
        try:
            claims = self._canonical(TokenClaims.model_validate(self._decode(token)))
        # OverflowError: "exp": 1e400 is infinity to the JSON parser.
        except (jwt.PyJWTError, ValidationError, ValueError, OverflowError, RecursionError):
            self._verified.pop(token, None)
            raise UnauthorizedError from None
        if len(self._verified) >= MAX_VERIFIED_TOKENS:
            # Evict the oldest. Only valid tokens get here, so others cannot flush this cache.
            del self._verified[next(iter(self._verified))]
        self._verified[token] = claims
        return claims

    def _is_in_time(self, claims: TokenClaims) -> bool:
        """Check `exp` and `iat` as the library does."""
        now, leeway = time.time(), self._leeway.total_seconds()
        return claims.iat <= now + leeway and claims.exp > now - leeway

    def published_keys(self) -> list[dict[str, str]]:
        """Return the JWKs that verify the tokens. None for a shared secret."""
        return self._keys.published()

    def _decode(self, token: str) -> dict[str, Any]:
        if len(token) > MAX_TOKEN_LENGTH:
            raise jwt.DecodeError
        return self._jwt.decode(
            token,
            self._find_key(token),
            # RFC 8725 §3.1: never trust the token's own `alg` (`none`, HS/RS confusion).
            algorithms=[self._keys.algorithm.value],
            audience=self._audience,
            issuer=self._issuer,
            leeway=self._leeway,
            options={"strict_aud": True},
        )

    def _find_key(self, token: str) -> VerificationKey:
        header = jwt.get_unverified_header(token)
        key = self._keys.verification_keys.get(header.get("kid", ""))
        # RFC 7515 §4.1.11: an unsupported critical extension makes the token invalid.
        if key is None or header.get("typ") != TOKEN_TYPE or "crit" in header:
            raise jwt.InvalidTokenError
        return key

    @staticmethod
    def _canonical(claims: TokenClaims) -> TokenClaims:
        for public_id in (claims.sub, claims.sid, claims.jti):
            if str(UUID(public_id)) != public_id:
                raise ValueError("not the canonical form of a UUID")
        return claims
