"""`Idempotency-Key`: a POST that may be sent again without being done again."""

import re
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Request
from pydantic import AfterValidator, BaseModel, WithJsonSchema
from pydantic_core import PydanticCustomError

from app.core.client import MAX_OPERATION_LENGTH
from app.core.dependencies import CurrentPrincipal, DbSession, collaborators_of
from app.core.exceptions import ValidationFailedError
from app.core.idempotency import (
    KEY_PATTERN,
    KEY_RULE,
    MAX_KEY_LENGTH,
    KeyScope,
    StoredResponse,
    fingerprint,
)
from app.core.openapi_headers import IDEMPOTENCY_KEY
from app.core.preconditions import Identified
from app.core.responses import success_response
from app.repositories.idempotency_key_repository import IdempotencyKeyRepository
from app.routers.resource_response import created_headers
from app.services.idempotency_service import IdempotencyService, IdempotentRequest

CREATED_STATUS: Final = 201


def _checked(key: str) -> str:
    # Pydantic's own words would be the pattern.
    if len(key) > MAX_KEY_LENGTH or re.fullmatch(KEY_PATTERN, key) is None:
        raise PydanticCustomError("idempotency_key", KEY_RULE)
    return key


_Key = Annotated[
    str,
    AfterValidator(_checked),
    WithJsonSchema({"type": "string", "maxLength": MAX_KEY_LENGTH, "pattern": KEY_PATTERN}),
]
KeyHeader = Annotated[
    _Key | None,
    Header(
        alias=IDEMPOTENCY_KEY,
        description="Random, new for each thing to be done, the same when it is sent again: then "
        "it is answered as before, and not done twice.",
        examples=['"8e03978e-40d5-43dd-bc93-6894a57f9324"'],
    ),
]


def idempotency_of(schema: type[BaseModel]) -> Any:
    """Annotates the `IdempotencyService` of a POST whose answer shows its result by `schema`.

    Its use: `ItemIdempotency = Annotated[IdempotencyService, idempotency_of(ItemResponse)]`.
    """

    async def get_idempotency(
        request: Request,
        db: DbSession,
        caller: CurrentPrincipal,
        key: KeyHeader = None,
    ) -> IdempotencyService:
        def render(result: Any) -> StoredResponse:
            shown = schema.model_validate(result)
            status = request.scope["route"].status_code or 200
            # Of many at once, none is what the answer is about.
            created = status == CREATED_STATUS and isinstance(result, Identified)
            return StoredResponse(
                status=status,
                headers=created_headers(result, shown, request.url.path) if created else {},
                body=success_response(shown).model_dump_json(),
            )

        return IdempotencyService(
            IdempotencyKeyRepository(db),
            None if key is None else await _read(request, caller.user_id, key),
            render=render,
            lifetime=collaborators_of(request).settings.idempotency_key_lifetime,
        )

    return Depends(get_idempotency)


async def _read(request: Request, user_id: int, key: str) -> IdempotentRequest:
    if len(request.headers.getlist(IDEMPOTENCY_KEY)) > 1:
        raise ValidationFailedError(
            "Send one key", loc=("header", IDEMPOTENCY_KEY), error_type="one_key"
        )
    operation = request.scope["route"].unique_id[:MAX_OPERATION_LENGTH]
    target = f"{request.url.path}?{request.url.query}"
    return IdempotentRequest(
        KeyScope.of(user_id, operation, key),
        fingerprint(request.method, target, await request.body()),
    )
