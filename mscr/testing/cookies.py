"""The cookie of refresh tokens, as a browser receives and sends it."""

import re
from typing import Final

from httpx2 import Response

NAME: Final = "__Host-refresh_token"
TOKEN: Final = re.compile(rf"{NAME}=([A-Za-z0-9_-]{{70}}); (.+)")
ATTRIBUTES: Final = "HttpOnly; Max-Age={}; Path=/; SameSite=strict; Secure"
CLEARED: Final = f'{NAME}=""; {ATTRIBUTES.format(0)}'
# The origin of this server in the requests of the tests' client.
OWN_ORIGIN: Final = "http://testserver"


def set_cookies(response: Response) -> list[str]:
    """Return every `Set-Cookie` header of the response, of any name."""
    return response.headers.get_list("set-cookie")


def token_set(response: Response) -> str | None:
    """Return the refresh token that the response sets, or None."""
    tokens = [found[1] for each in set_cookies(response) if (found := TOKEN.fullmatch(each))]
    return tokens[0] if tokens else None


def cookie(token: str) -> dict[str, str]:
    """Return the header with which a browser sends this token back."""
    return {"Cookie": f"{NAME}={token}"}
