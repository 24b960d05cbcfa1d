"""The cookie that carries refresh tokens, as a browser meets it."""

import re
from typing import Final

from httpx2 import Response

NAME: Final = "__Host-refresh_token"
TOKEN: Final = re.compile(rf"{NAME}=([A-Za-z0-9_-]{{70}}); (.+)")
ATTRIBUTES: Final = "HttpOnly; Max-Age={}; Path=/; SameSite=strict; Secure"
CLEARED: Final = f'{NAME}=""; {ATTRIBUTES.format(0)}'
# Of the requests that the tests' client makes.
OWN_ORIGIN: Final = "http://testserver"


def set_cookies(response: Response) -> list[str]:
    """Every cookie that the answer sets, of whatever name."""
    return response.headers.get_list("set-cookie")


def token_set(response: Response) -> str | None:
    """The refresh token that the answer puts into the browser."""
    tokens = [found[1] for each in set_cookies(response) if (found := TOKEN.fullmatch(each))]
    return tokens[0] if tokens else None


def cookie(token: str) -> dict[str, str]:
    """The header with which a browser sends it back."""
    return {"Cookie": f"{NAME}={token}"}
