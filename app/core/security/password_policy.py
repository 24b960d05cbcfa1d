"""Which passwords are accepted (ASVS v6.2): a length, and no rule about their composition."""

from app.core.config import Settings
from app.core.exceptions import ValidationFailedError


class PasswordPolicy:
    def __init__(self, settings: Settings) -> None:
        self._min_length = settings.PASSWORD_MIN_LENGTH
        self._max_length = settings.PASSWORD_MAX_LENGTH

    def check(self, password: str, *, field: str) -> None:
        """Raises `ValidationFailedError` for `field` of the body."""
        if len(password) < self._min_length:
            raise ValidationFailedError(
                f"The password needs at least {self._min_length} characters.",
                loc=("body", field),
                error_type="password_too_short",
            )
        if len(password) > self._max_length:
            raise ValidationFailedError(
                f"The password may have at most {self._max_length} characters.",
                loc=("body", field),
                error_type="password_too_long",
            )
