"""The keys that sign and verify access tokens: of one algorithm, looked up by `kid`."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import SecretStr

from mscr.core.config import Settings
from mscr.core.security.key_pairs import (
    PrivateKey,
    PublicKey,
    public_jwk,
    read_private_key,
    read_public_keys,
    thumbprint,
)
from mscr.core.security.signing_algorithm import SigningAlgorithm
from mscr.core.setting_values import MIN_SECRET_LENGTH

VerificationKey = bytes | PublicKey


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The signing key, and all verification keys: its counterpart, and those of a rotation."""

    algorithm: SigningAlgorithm
    kid: str
    signing_key: bytes | PrivateKey = field(repr=False)
    verification_keys: Mapping[str, VerificationKey] = field(repr=False)

    @classmethod
    def from_settings(cls, settings: Settings) -> "KeyRing":
        if settings.JWT_ALGORITHM is SigningAlgorithm.HS256:
            return cls.of_secrets(settings.jwt_secrets)
        private_key = settings.JWT_PRIVATE_KEY or SecretStr("")
        return cls.of_key_pairs(settings.JWT_ALGORITHM, private_key, settings.JWT_PUBLIC_KEYS)

    @classmethod
    def of_secrets(cls, secrets: Sequence[SecretStr]) -> "KeyRing":
        """Return a key ring for HS256: the first secret signs. Raises `ValueError` if short."""
        keys = [secret.get_secret_value().encode() for secret in secrets]
        if any(len(key) < MIN_SECRET_LENGTH for key in keys):
            raise ValueError(f"a signing key needs at least {MIN_SECRET_LENGTH} bytes")
        by_kid = {_key_id(key): key for key in keys}
        return cls(SigningAlgorithm.HS256, _key_id(keys[0]), keys[0], by_kid)

    @classmethod
    def of_key_pairs(
        cls, algorithm: SigningAlgorithm, private_key: SecretStr, public_keys: str
    ) -> "KeyRing":
        """Return a key ring for EdDSA or RS256. Raises `UnusableKeyError`."""
        signing_key = read_private_key(private_key.get_secret_value(), algorithm)
        own = signing_key.public_key()
        accepted = [own, *read_public_keys(public_keys, algorithm)]
        by_kid = {thumbprint(key): key for key in accepted}
        return cls(algorithm, thumbprint(own), signing_key, by_kid)

    def published(self) -> list[dict[str, str]]:
        """Return the public keys as JWKs (RFC 7517 §4). Shared secrets are never published."""
        return [
            public_jwk(key, self.algorithm)
            for key in self.verification_keys.values()
            if not isinstance(key, bytes)
        ]


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"kid:" + key).hexdigest()[:16]
