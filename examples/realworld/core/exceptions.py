"""The errors of Conduit, beside those of the kit."""

from mscr.core.exceptions import ConflictError


class UsernameTakenError(ConflictError):
    code = "username_taken"
    title = "User name taken"
    detail = "A user with this name already exists."
