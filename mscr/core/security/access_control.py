"""The application's access control, passed to the kit once."""

from collections.abc import Mapping
from dataclasses import dataclass

from mscr.core.security.principal import Policy


@dataclass(frozen=True, slots=True)
class AccessControl:
    """The permissions of accounts, and their documentation.

    `policy` decides whether an account has a permission. `scopes` describes the permissions in
    OpenAPI, and `token_path` is the token endpoint there.
    """

    policy: Policy
    scopes: Mapping[str, str]
    token_path: str
