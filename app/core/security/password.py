"""Name of the kit's password hashing.

The rules for new passwords are the settings PASSWORD_MIN_LENGTH and PASSWORD_REFUSE_COMMON,
`mscr/core/security/password_policy.py`, and `password_context()` in `app/services/auth_service.py`.
"""

from mscr.core.security.password import PasswordService
