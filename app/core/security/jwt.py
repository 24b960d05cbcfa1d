"""Names of the kit's access tokens.

Their lifetime is JWT_ACCESS_TOKEN_EXPIRE_MINUTES; their claims are in `mscr/core/security/jwt.py`.
"""

from mscr.core.security.jwt import JWTService, TokenClaims
