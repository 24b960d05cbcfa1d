"""Fuzz inputs beyond what the schema can express: values that are meaningful to the application."""

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

from mscr.core.idempotency import KEY_PATTERN, MAX_KEY_LENGTH
from mscr.core.sort_order import RELEVANCE
from mscr.http.header_names import IDEMPOTENCY_KEY
from mscr.http.media_types import MULTIPART_TYPE
from mscr.schemas.list_schemas import (
    DEFAULT_PAGE_SIZE,
    MAX_NUMBERED_ROWS,
    MAX_PAGE_SIZE,
    MAX_SEARCHED_ROWS,
)
from mscr.testing.api import Account
from mscr.testing.examples import Examples
from mscr.testing.fuzzing.callers import PASSWORD, LoggedIn

BY_PAGE: Final = ("page", "per_page")
BY_CURSOR: Final = ("cursor", "limit")
MAX_TOKEN_LENGTH: Final = 512
# Files do not depend on the account.
NOBODY: Final = Account("", "", {"refresh_token": ""})


@cache
def register() -> None:
    """Register formats, serializers and hooks, which Schemathesis keeps for the whole process."""
    # Passwords that the policy accepts, the callers' own among them. The suffix keeps a password
    # from being just the name sent with it, which the policy refuses.
    passwords = st.text("abcdefghijklmnopqrstuvwxyz ", max_size=80).map(
        "{}, seven umbrellas".format
    )
    schemathesis.openapi.format("password", st.one_of(st.just(PASSWORD), passwords))
    names = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=30)
    schemathesis.openapi.format("email", names.map("{}@example.com".format))
    # By default, headers get alphanumeric words, none of which is a valid entity tag.
    tags = st.text("abcdefghijklmnopqrstuvwxyz0123456789", max_size=30).map('"{}"'.format)
    schemathesis.openapi.format("entity-tags", st.one_of(st.just("*"), tags))
    schemathesis.serializer("text/csv")(write_csv)
    schemathesis.serializer("application/x-ndjson")(write_ndjson)
    schemathesis.hook("before_call")(page_one_way)
    schemathesis.hook("before_call")(page_within_numbers)
    schemathesis.hook("before_call")(take_a_new_key)
    schemathesis.hook("before_call")(change_to_another)
    schemathesis.hook("before_call")(upload_example)


def _title(text: str) -> str:
    return f"x{text[:100]}".encode(errors="ignore").decode().replace("\0", "")


def write_csv(context: SerializationContext, value: Any) -> bytes:
    """Serialize any text as a file with that title, since a schema describes a file as any text.

    Values of other types become invalid files.
    """
    if not isinstance(value, str):
        return json.dumps(value).encode()
    quoted = _title(value).replace('"', '""')
    return f'title\r\n"{quoted}"\r\n'.encode()


def write_ndjson(context: SerializationContext, value: Any) -> bytes:
    """Serialize any text as a line of JSON with that title."""
    return json.dumps({"title": _title(value)} if isinstance(value, str) else [value]).encode()


def page_one_way(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Use page numbers or cursors, not both, and only the empty cursor: all others are signed.

    A sort by relevance has no cursors.
    """
    query = case.query or {}
    by_page = any(name in query for name in BY_PAGE) or RELEVANCE in str(query.get("sort"))
    if by_page and any(name in query for name in BY_CURSOR):
        case.query = {name: value for name, value in query.items() if name not in BY_CURSOR}
    elif query.get("cursor"):
        case.query = {**query, "cursor": ""}


def page_within_numbers(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Limit the page to the last row that has one; a schema cannot limit number times size."""
    query = case.query or {}
    page, size = _number(query.get("page")), _number(query.get("per_page", DEFAULT_PAGE_SIZE))
    if 0 < size <= MAX_PAGE_SIZE:
        last = (MAX_SEARCHED_ROWS if "q" in query else MAX_NUMBERED_ROWS) // size
        if last < page <= MAX_NUMBERED_ROWS:
            case.query = {**query, "page": last}


def _number(value: Any) -> int:
    """Return the number, or 0 for anything else. In boundary cases, numbers are strings."""
    is_number = isinstance(value, int) or (isinstance(value, str) and value.isdecimal())
    return int(value) if is_number else 0


def take_a_new_key(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Replace idempotency keys that recur, such as examples and short ones, with fresh ones.

    The second request with a key would be refused.
    """
    key = case.headers.get(IDEMPOTENCY_KEY)
    if isinstance(key, str) and len(key) < MAX_KEY_LENGTH / 2 and re.match(KEY_PATTERN, key):
        case.headers[IDEMPOTENCY_KEY] = secrets.token_hex(len(key) // 2 + 8)


def change_to_another(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Make the new password differ from the current one, which a schema cannot express."""
    body = case.body if isinstance(case.body, dict) else {}
    new = body.get("new_password")
    meant_to_fit = case.meta is None or case.meta.generation.mode.is_positive
    if meant_to_fit and isinstance(new, str) and new == body.get("current_password"):
        case.body = {**body, "new_password": f"{new} too"}


def upload_example(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Upload the example files in forms meant to be valid: a schema cannot express magic bytes."""
    meant_to_fit = case.meta is None or case.meta.generation.mode.is_positive
    if meant_to_fit and case.media_type == MULTIPART_TYPE:
        openapi = case.operation.schema.raw_schema
        operation = openapi["paths"][case.operation.path][case.operation.method]
        body = Examples(openapi).body_of(operation, NOBODY, case.operation.label)
        kwargs["files"] = body and body.value


def know_refresh_token(schema: BaseSchema, caller: LoggedIn) -> None:
    """Sometimes send the caller's own refresh token: made-up ones are never valid."""

    @schema.hook
    def flatmap_body(context: HookContext, body: Any) -> SearchStrategy[Any]:
        token = body.get("refresh_token") if isinstance(body, dict) else None
        if not isinstance(token, str) or not 0 < len(token) <= MAX_TOKEN_LENGTH:
            return st.just(body)  # meant to be refused
        return st.sampled_from([body, {**body, "refresh_token": caller.account.refresh_token}])
