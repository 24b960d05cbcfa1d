"""`Idempotency-Key`: a client can retry a POST, and its effect happens once."""

import re
from collections.abc import Callable
from typing import Annotated, Any, Final, Protocol

from fastapi import Depends, Header, Request
from pydantic import AfterValidator, BaseModel, WithJsonSchema
from pydantic_core import PydanticCustomError
from sqlalchemy.ext.asyncio import AsyncSession

from mscr.core.client import MAX_OPERATION_LENGTH
from mscr.core.exceptions import ValidationFailedError
from mscr.core.idempotency import (
    KEY_PATTERN,
    KEY_RULE,
    MAX_KEY_LENGTH,
    KeyScope,
    fingerprint,
)
from mscr.endpoints.callers import get_principal
from mscr.endpoints.database import DbSession
from mscr.endpoints.requests import collaborators_of, tables_of
from mscr.http.header_names import IDEMPOTENCY_KEY
from mscr.http.representation import representations_of
from mscr.http.request_parameters import header_parameter
from mscr.repositories.idempotency_key_repository import IdempotencyKeyRepository
from mscr.services.idempotency_service import IdempotencyService, IdempotentRequest


def _checked(key: str) -> str:
    # Pydantic's own message would be the pattern.
    if len(key) > MAX_KEY_LENGTH or re.fullmatch(KEY_PATTERN, key) is None:
        raise PydanticCustomError("idempotency_key", KEY_RULE)
    return key


_SCHEMA: Final = {"type": "string", "maxLength": MAX_KEY_LENGTH, "pattern": KEY_PATTERN}
_Key = Annotated[str, AfterValidator(_checked), WithJsonSchema(_SCHEMA)]
_DESCRIPTION: Final = (
    "Random, unique for each operation, and the same for a retry: the retry gets the first "
    "response and does nothing twice."
)
_EXAMPLES: Final = ['"8e03978e-40d5-43dd-bc93-6894a57f9324"']
KeyHeader = Annotated[
    _Key | None, Header(alias=IDEMPOTENCY_KEY, description=_DESCRIPTION, examples=_EXAMPLES)
]
PARAMETERS: Final = (
    header_parameter(IDEMPOTENCY_KEY, _DESCRIPTION, {**_SCHEMA, "examples": _EXAMPLES}),
)


class KeyOwner(Protocol):
    """The user that a key belongs to."""

    @property
    def user_id(self) -> int: ...


def idempotency_of(schema: type[BaseModel], *, caller: Callable[..., Any] = get_principal) -> Any:
    """Annotate the `IdempotencyService` of a POST whose response shows its result by `schema`.

    Usage: `ItemIdempotency = Annotated[IdempotencyService, idempotency_of(ItemResponse)]`.
    `caller` is the route's own dependency if that accepts more than access tokens.
    """

    async def get_idempotency(
        request: Request,
        db: DbSession,
        owner: Annotated[KeyOwner, Depends(caller)],
        key: KeyHeader = None,
    ) -> IdempotencyService:
        sent = None if key is None else await _read(request, owner.user_id, key, schema)
        return _service(request, db, sent)

    return Depends(get_idempotency)


async def read_idempotency(
    request: Request, db: AsyncSession, user_id: int, schema: type[BaseModel]
) -> IdempotencyService | None:
    """Return the service of the request's key, or None if it has no `Idempotency-Key`.

    Raise `RequestValidationError` for a malformed key, and `ValidationFailedError` for several.
    """
    key = request.headers.get(IDEMPOTENCY_KEY)
    if key is None:
        return None
    try:
        _checked(key)
    except PydanticCustomError as error:
        raise ValidationFailedError(
            error.message(), loc=("header", IDEMPOTENCY_KEY), error_type=error.type
        ) from None
    return _service(request, db, await _read(request, user_id, key, schema))


def _service(
    request: Request, db: AsyncSession, sent: IdempotentRequest | None
) -> IdempotencyService:
    return IdempotencyService(
        IdempotencyKeyRepository(db, tables_of(request)),
        sent,
        lifetime=collaborators_of(request).settings.idempotency_key_lifetime,
    )


async def _read(
    request: Request, user_id: int, key: str, schema: type[BaseModel]
) -> IdempotentRequest:
    if len(request.headers.getlist(IDEMPOTENCY_KEY)) > 1:
        raise ValidationFailedError(
            "Send one key", loc=("header", IDEMPOTENCY_KEY), error_type="one_key"
        )
    operation = request.scope["route"].unique_id[:MAX_OPERATION_LENGTH]
    target = f"{request.url.path}?{request.url.query}"
    return IdempotentRequest(
        KeyScope.of(user_id, operation, key),
        fingerprint(request.method, target, await request.body()),
        schema,
        status=request.scope["route"].status_code or 200,
        path=request.url.path,
        kept=representations_of(request),
    )
