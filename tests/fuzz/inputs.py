"""What is made up beyond the schema's own words: values that mean something to the application."""

import json
import re
import secrets
from functools import cache
from typing import Any, Final

import schemathesis
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from schemathesis import Case, HookContext, SerializationContext
from schemathesis.schemas import BaseSchema

from app.core.idempotency import KEY_PATTERN, MAX_KEY_LENGTH
from app.core.openapi_headers import IDEMPOTENCY_KEY
from app.core.pagination import (
    DEFAULT_PAGE_SIZE,
    MAX_NUMBERED_ROWS,
    MAX_PAGE_SIZE,
    RELEVANCE,
)
from tests.fuzz.callers import PASSWORD, LoggedIn
from tests.support.routes import UPLOADS

BY_PAGE: Final = ("page", "per_page")
BY_CURSOR: Final = ("cursor", "limit")
MAX_TOKEN_LENGTH: Final = 512


@cache
def register() -> None:
    """For all schemas of this process: these have no other place."""
    # What the policy accepts, the callers' own among it: more than a name that is sent beside it.
    passwords = st.text("abcdefghijklmnopqrstuvwxyz ", max_size=80).map(
        "{}, seven umbrellas".format
    )
    schemathesis.openapi.format("password", st.one_of(st.just(PASSWORD), passwords))
    names = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=30)
    schemathesis.openapi.format("email", names.map("{}@example.com".format))
    # Otherwise it sends words of letters and digits alone in headers, which no entity tag is.
    tags = st.text("abcdefghijklmnopqrstuvwxyz0123456789", max_size=30).map('"{}"'.format)
    schemathesis.openapi.format("entity-tags", st.one_of(st.just("*"), tags))
    schemathesis.serializer("text/csv")(write_csv)
    schemathesis.serializer("application/x-ndjson")(write_ndjson)
    schemathesis.hook("before_call")(page_one_way)
    schemathesis.hook("before_call")(page_within_numbers)
    schemathesis.hook("before_call")(take_a_new_key)
    schemathesis.hook("before_call")(change_to_another)
    schemathesis.hook("before_call")(upload_what_is_read)


def _title(text: str) -> str:
    return f"x{text[:100]}".encode(errors="ignore").decode().replace("\0", "")


def write_csv(context: SerializationContext, value: Any) -> bytes:
    """To the schema a file is any text: here, one that has it for a title. Others are no files."""
    if not isinstance(value, str):
        return json.dumps(value).encode()
    quoted = _title(value).replace('"', '""')
    return f'title\r\n"{quoted}"\r\n'.encode()


def write_ndjson(context: SerializationContext, value: Any) -> bytes:
    """The same, in a JSON object."""
    return json.dumps({"title": _title(value)} if isinstance(value, str) else [value]).encode()


def page_one_way(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Page numbers or cursors, not both, and of cursors the first: others are signed.

    By relevance there are no cursors at all.
    """
    query = case.query or {}
    by_page = any(name in query for name in BY_PAGE) or RELEVANCE in str(query.get("sort"))
    if by_page and any(name in query for name in BY_CURSOR):
        case.query = {name: value for name, value in query.items() if name not in BY_CURSOR}
    elif query.get("cursor"):
        case.query = {**query, "cursor": ""}


def page_within_numbers(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Pages end at a row, which a number and a size reach together: a schema has each alone."""
    query = case.query or {}
    page, size = _number(query.get("page")), _number(query.get("per_page", DEFAULT_PAGE_SIZE))
    if 0 < size <= MAX_PAGE_SIZE:
        last = MAX_NUMBERED_ROWS // size
        if last < page <= MAX_NUMBERED_ROWS:
            case.query = {**query, "page": last}


def _number(value: Any) -> int:
    """Return 0 for what is no number. At the edges of a schema, numbers are texts."""
    is_number = isinstance(value, int) or (isinstance(value, str) and value.isdecimal())
    return int(value) if is_number else 0


def take_a_new_key(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Of two requests with one key, the second is refused: short ones, and examples, recur."""
    key = case.headers.get(IDEMPOTENCY_KEY)
    if isinstance(key, str) and len(key) < MAX_KEY_LENGTH / 2 and re.match(KEY_PATTERN, key):
        case.headers[IDEMPOTENCY_KEY] = secrets.token_hex(len(key) // 2 + 8)


def change_to_another(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """A new password is another one; a schema has no words for that."""
    body = case.body if isinstance(case.body, dict) else {}
    new = body.get("new_password")
    meant_to_fit = case.meta is None or case.meta.generation.mode.is_positive
    if meant_to_fit and isinstance(new, str) and new == body.get("current_password"):
        case.body = {**body, "new_password": f"{new} too"}


def upload_what_is_read(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """No schema says how a file begins: where a form is meant to fit, send one that does."""
    parts = UPLOADS.get(case.operation.label)
    meant_to_fit = case.meta is None or case.meta.generation.mode.is_positive
    if parts and meant_to_fit and isinstance(case.body, dict):
        kwargs["files"] = parts


def know_refresh_token(schema: BaseSchema, caller: LoggedIn) -> None:
    """Tokens are signed, too: now and then, it is the caller's own."""

    @schema.hook
    def flatmap_body(context: HookContext, body: Any) -> SearchStrategy[Any]:
        token = body.get("refresh_token") if isinstance(body, dict) else None
        if not isinstance(token, str) or not 0 < len(token) <= MAX_TOKEN_LENGTH:
            return st.just(body)  # it may be there to be refused
        return st.sampled_from([body, {**body, "refresh_token": caller.account.refresh_token}])
