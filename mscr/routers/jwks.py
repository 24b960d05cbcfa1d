from datetime import timedelta
from typing import Final

from fastapi import Response
from fastapi.responses import JSONResponse

from mscr.endpoints.requests import AppCollaborators
from mscr.http.routing import Router
from mscr.schemas.jwks_schemas import JwksResponse

# For so long, a verifier may not have a new key yet, and may still accept a removed one.
MAX_AGE: Final = timedelta(minutes=5)

router = Router(prefix="/.well-known", tags=["Keys"])


class JwkSetJSONResponse(JSONResponse):
    media_type = "application/jwk-set+json"  # RFC 7517 §8.5.2


@router.get(
    "/jwks.json",
    operation_id="get_jwks",
    summary="Get the public keys that verify access tokens",
    response_class=JwkSetJSONResponse,
)
async def get_jwks(response: Response, collaborators: AppCollaborators) -> JwksResponse:
    response.headers["Cache-Control"] = f"public, max-age={MAX_AGE.seconds}"
    keys = collaborators.access_tokens.published_keys()
    return JwksResponse.model_validate({"keys": keys})
