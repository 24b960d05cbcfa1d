"""The notices that the owner of an account gets by mail (ASVS v6.3.5, v6.3.7)."""

from enum import Enum as PyEnum


class Notice(str, PyEnum):
    """An event that its owner must be able to notice. The value is the name of its mail."""

    NEW_DEVICE = "new_device"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105  # no password
    EMAIL_CHANGED = "email_changed"
    REUSE_DETECTED = "reuse_detected"


def read_notices(names: list[str]) -> list[Notice]:
    """Return the notices of these names. Raise `ValueError` for any other name."""
    try:
        return [Notice(name) for name in names]
    except ValueError:
        # The text is not repeated: no error of a setting shows its value.
        known = ", ".join(notice.value for notice in Notice)
        raise ValueError(f"needs names of {known}, comma-separated, or [] for none") from None
