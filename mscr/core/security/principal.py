"""The caller of a request."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mscr.core.security.jwt import TokenClaims

# The application's function that returns whether an account has a permission, given as a member
# of a `str` enum or as its value.
Policy = Callable[[Any, str], bool]


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller: the claims of the token, confirmed by the database for this request."""

    claims: TokenClaims
    user_id: int
    # The user's row, as it was looked up for this request.
    account: Any
    authenticated_at: datetime
    policy: Policy
    # The session's number of commits. A replica that lags behind it is not read.
    replica_count: int = 0

    @property
    def public_id(self) -> str:
        return self.claims.sub

    @property
    def session_id(self) -> str:
        return self.claims.sid

    @property
    def is_verified(self) -> bool:
        """Whether the account's address is proved to be its own."""
        return self.account.email_verified_at is not None

    def may(self, permission: str) -> bool:
        return self.policy(self.account, permission)
