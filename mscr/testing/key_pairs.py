"""Key pairs that sign access tokens, and the settings that configure them."""

from collections.abc import Iterable
from functools import cache
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from mscr.core.security.key_pairs import PrivateKey, to_line
from mscr.core.security.signing_algorithm import SigningAlgorithm

HS256: Final = SigningAlgorithm.HS256
EDDSA: Final = SigningAlgorithm.EDDSA
RS256: Final = SigningAlgorithm.RS256
ASYMMETRIC: Final = (EDDSA, RS256)


def name_of(algorithm: SigningAlgorithm) -> str:
    """Return the algorithm's name, for `ids=` of parametrized tests."""
    return algorithm.value


def key_pair(algorithm: SigningAlgorithm, name: str = "current") -> PrivateKey:
    """Return the key pair of this name, cached in the process: generating RSA keys is slow."""
    return _new_key_pair(algorithm, name)


def signing_settings(
    algorithm: SigningAlgorithm, name: str = "current", *, others: Iterable[str] = ()
) -> dict[str, Any]:
    """Return settings with which `name` signs; the public keys of `others` are accepted too."""
    if algorithm is HS256:
        return {}
    public = [to_line(key_pair(algorithm, other).public_key()) for other in others]
    return {
        "JWT_ALGORITHM": algorithm,
        "JWT_PRIVATE_KEY": to_line(key_pair(algorithm, name)),
        "JWT_PUBLIC_KEYS": "\\n".join(public),
    }


def signing_with(
    algorithm: SigningAlgorithm, name: str = "current", *, others: Iterable[str] = ()
) -> pytest.MarkDecorator:
    """Return a mark that gives the test's application these settings."""
    values = signing_settings(algorithm, name, others=others)
    return pytest.mark.settings.with_args(**values)


@cache
def _new_key_pair(algorithm: SigningAlgorithm, _: str) -> PrivateKey:
    if algorithm is EDDSA:
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)
