"""Parts of a plain resource's routes: the service for the caller, and the page of its list."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Response

from mscr.core.security.principal import Principal
from mscr.db.replica import open_read_session
from mscr.db.session_info import COMMITTED
from mscr.endpoints.callers import CurrentPrincipal, OptionalPrincipal
from mscr.endpoints.database import get_db
from mscr.endpoints.idempotency import PARAMETERS as KEY_PARAMETERS
from mscr.endpoints.idempotency import read_idempotency
from mscr.endpoints.outbox import outbox_after_commit
from mscr.endpoints.preconditions import PARAMETERS as CONDITION_PARAMETERS
from mscr.endpoints.preconditions import READS, read_preconditions
from mscr.endpoints.requests import collaborators_of
from mscr.http.exchange import exchange
from mscr.http.header_names import IF_MATCH
from mscr.http.openapi_headers import refer_to
from mscr.http.openapi_schemas import Schema
from mscr.http.preconditions import Preconditions
from mscr.http.request_parameters import documents, query_model
from mscr.queries.pagination import PageRequest
from mscr.schemas.list_schemas import ListQuery
from mscr.services.owned_service import OwnedService

# The response to a request that creates a row.
_CREATED: Final = {"201": refer_to("ETag", "Location")}
# The key of the service that writes, in the scope of a request.
_WRITER: Final = "mscr.owned_service"
_open_session = asynccontextmanager(get_db)


def service_for_caller(service: type[OwnedService[Any]]) -> Any:
    """Annotate the service of a plain resource, for the caller of the request.

    It reads in a session of `ReadDbSession`, and writes in one of `DbSession`. The preconditions
    and the idempotency key of the request are those of its service.

    Usage: `Notes = Annotated[NoteService, service_for_caller(NoteService)]`.
    """

    @documents(_headers, headers=_CREATED)
    async def get_service(
        request: Request, response: Response, caller: CurrentPrincipal
    ) -> AsyncGenerator[OwnedService[Any], None]:
        conditions = _preconditions(request, service)
        if request.method in READS:
            async with open_read_session(request.app.state.database, caller) as session:
                with exchange(request, response):
                    yield service(service.repository(session), caller, preconditions=conditions)
            return
        _require_one(request, service)
        async with _open_session(request) as session:
            idempotency = None
            if request.method == "POST":
                idempotency = await read_idempotency(
                    request, session, caller.user_id, service.response
                )
            made = service(
                service.repository(session),
                caller,
                preconditions=conditions,
                idempotency=idempotency,
                outbox=outbox_after_commit(request, session),
            )
            with exchange(request, response):
                yield made
            if request.method == "POST" and COMMITTED in session.info:
                made.require_finished()

    # Closed before the response is sent: a slow client holds no connection.
    return Depends(get_service, scope="function")


def service_for_anyone(service: type[OwnedService[Any]]) -> Any:
    """Annotate the service of a public resource, for the caller or for an anonymous client.

    For routes that read: those that write need `service_for_caller`. `visible_to` of its repository
    decides what anonymous clients see; nobody's id is `ANONYMOUS_ID`.

    Usage: `PublicNotes = Annotated[NoteService, service_for_anyone(NoteService)]`.
    """

    @documents(_headers)
    async def get_service(
        request: Request, response: Response, caller: OptionalPrincipal
    ) -> AsyncGenerator[OwnedService[Any], None]:
        if request.method not in READS:
            raise TypeError(f"a route that writes needs service_for_caller({service.__name__})")
        conditions = _preconditions(request, service)
        async with open_read_session(request.app.state.database, caller) as session:
            with exchange(request, response):
                yield service(service.repository(session), caller, preconditions=conditions)

    # Closed before the response is sent, as above.
    return Depends(get_service, scope="function")


def _require_one(request: Request, service: type[OwnedService[Any]]) -> None:
    """Refuse a second service that writes: it would commit a part, and share the request's key."""
    first = request.scope.setdefault(_WRITER, service)
    if first is not service:
        raise TypeError(
            f"{first.__name__} and {service.__name__} on one route that writes: one service can "
            "use several repositories with its session, and then commits once"
        )


def _preconditions(request: Request, service: type[OwnedService[Any]]) -> Preconditions | None:
    if not request.path_params and (request.method in READS or IF_MATCH not in request.headers):
        # The request is for no object: a list, or a new one. A write must not ignore `If-Match`.
        return None
    conditions = read_preconditions(request, service.response)
    has_any = conditions.if_match is not None or conditions.if_none_match is not None
    return conditions if has_any else None


def _headers(method: str, path: str) -> Sequence[Schema]:
    """Return the headers that the service reads: keys of a POST, conditions for one object."""
    keys = KEY_PARAMETERS if method == "POST" else ()
    return (*keys, *(CONDITION_PARAMETERS if "{" in path else ()))


def page_of(query: type[ListQuery]) -> Any:
    """Annotate the page of a list that a request asks for, with filters and order of `query`.

    Usage: `NotePage = Annotated[PageRequest, page_of(NoteListQuery)]`.
    """

    async def get_page(
        request: Request, caller: CurrentPrincipal, sent: Annotated[ListQuery, query_model(query)]
    ) -> PageRequest:
        return _page(request, caller, sent)

    return Depends(get_page)


def public_page_of(query: type[ListQuery]) -> Any:
    """Annotate the page of a public list, as `page_of` does.

    Usage: `NotePage = Annotated[PageRequest, public_page_of(NoteListQuery)]`.
    """

    async def get_page(
        request: Request, caller: OptionalPrincipal, sent: Annotated[ListQuery, query_model(query)]
    ) -> PageRequest:
        return _page(request, caller, sent)

    return Depends(get_page)


def _page(request: Request, caller: Principal | None, sent: ListQuery) -> PageRequest:
    # A cursor belongs to the caller and to this operation.
    operation = request.scope["route"].unique_id
    subject = "" if caller is None else caller.public_id
    return collaborators_of(request).pager.page_request(sent, operation, subject)


PublicListPage = Annotated[PageRequest, public_page_of(ListQuery)]
ListPage = Annotated[PageRequest, page_of(ListQuery)]
