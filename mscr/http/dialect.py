"""The dialect of an application that must follow a given contract.

The kit's code speaks one dialect: problems (RFC 9457) and bearer tokens (RFC 6750).
`DialectMiddleware` translates requests and responses, and `document_dialect` the OpenAPI document.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

# A token in the sense of RFC 9110 §5.6.2, which the name of a scheme is.
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


@dataclass(frozen=True, slots=True)
class ErrorShape:
    """The shape of all errors below a path, whatever sends them.

    `body` makes the content from the members of a problem, and must fit `schema`. Warning: it must
    be a function of a module, because workers of the server pickle it.
    """

    prefix: str
    """The path, such as `/api`. An empty one is every path."""
    schema: type[BaseModel]
    body: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    media_type: str = "application/json"

    def __post_init__(self) -> None:
        if self.prefix and (self.prefix[0] != "/" or self.prefix[-1] == "/"):
            raise ValueError(f"the prefix of an error shape is like /api, not {self.prefix!r}")

    def covers(self, path: str) -> bool:
        is_below = path.startswith(f"{self.prefix}/")
        # The server may refuse a request before it has a path.
        return is_below or path == self.prefix or not self.prefix

    def content(self, problem: Mapping[str, Any]) -> bytes:
        # Escape to ASCII, as problems are: the name of a field may be a lone surrogate.
        return json.dumps(self.body(problem), ensure_ascii=True).encode()


@dataclass(frozen=True, slots=True)
class TokenScheme:
    """The scheme of access tokens in `Authorization` and `WWW-Authenticate`.

    OpenAPI shows the header as an API key, since its own schemes are the registered ones.
    """

    name: str
    description: str

    def __post_init__(self) -> None:
        if not _TOKEN.fullmatch(self.name):
            raise ValueError(f"the name of a token scheme is like Token, not {self.name!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The parts that a contract dictates. The default changes nothing and costs nothing."""

    errors: tuple[ErrorShape, ...] = ()
    """The first shape that covers a path is that of its errors."""
    token_scheme: TokenScheme | None = None
    """The scheme in place of `Bearer`, which is then refused."""
    integer_ids: frozenset[str] = frozenset()
    """The tables whose integer keys the contract shows. The checks of all routes refuse others."""

    @property
    def is_default(self) -> bool:
        """Whether requests and responses stay as they are."""
        return not self.errors and self.token_scheme is None

    @property
    def token_scheme_name(self) -> str:
        return "Bearer" if self.token_scheme is None else self.token_scheme.name

    def shape_of(self, path: str) -> ErrorShape | None:
        """Return the shape of errors at a path, or None for problems."""
        return next((shape for shape in self.errors if shape.covers(path)), None)


DEFAULT_DIALECT: Final = Dialect()
