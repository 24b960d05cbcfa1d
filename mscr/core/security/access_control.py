"""The application's access control, passed to the kit once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from mscr.core.security.principal import Policy

# The operations of `mscr/routers/recovery.py` by which an account becomes verified.
_VERIFYING: Final = frozenset({"request_verification", "verify_email", "change_email"})


def _everything(operation: str) -> bool:  # noqa: ARG001  # as the application's own function
    return True


@dataclass(frozen=True, slots=True)
class AccessControl:
    """The permissions of accounts, and their documentation.

    `policy` decides whether an account has a permission. `scopes` describes the permissions in
    OpenAPI, and `token_path` is the token endpoint there. `unverified` decides whether an account
    may call an operation before its address is verified.
    """

    policy: Policy
    scopes: Mapping[str, str]
    token_path: str
    unverified: Callable[[str], bool] = _everything

    def admits_unverified(self, operation: str) -> bool:
        """Return whether an account without a verified address may call an operation, by its id."""
        return operation in _VERIFYING or self.unverified(operation)
