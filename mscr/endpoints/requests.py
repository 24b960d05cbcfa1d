"""Parts of a request that routes and dependencies read: collaborators, tables, client, origin."""

from typing import Annotated, cast
from uuid import UUID

from fastapi import Depends, Path, Request

from mscr.collaborators import Collaborators
from mscr.core.client import MAX_OPERATION_LENGTH, Client, Origin
from mscr.models.tables import Tables

PublicId = Annotated[UUID, Path(description="The resource's public id.")]


# For each request, FastAPI walks the route's whole tree of dependencies, and a shared dependency
# once for each dependency that declares it. Common dependencies therefore call these functions.
def collaborators_of(request: Request) -> Collaborators:
    return cast("Collaborators", request.app.state.collaborators)


def tables_of(request: Request) -> Tables:
    return cast("Tables", request.app.state.database.tables)


def client_of(request: Request) -> Client:
    """Return the client. Behind a proxy of TRUSTED_PROXIES, its address is the forwarded one."""
    known: Client | None = getattr(request.state, "client", None)
    if known is None:
        # Peers on a unix socket have no address.
        address = request.client.host if request.client else "unknown"
        known = Client.of(address, request.headers.get("user-agent"))
        # Cached: the audit log and the limiters all use it.
        request.state.client = known
    return known


def origin_of(request: Request) -> Origin:
    """Return the client, the operation and the id of a request, for the audit log."""
    # FastAPI generates an operation id for a route that has none.
    operation = request.scope["route"].unique_id[:MAX_OPERATION_LENGTH]
    return Origin(client_of(request), operation, request.state.request_id)


async def get_collaborators(request: Request) -> Collaborators:
    return collaborators_of(request)


async def get_client(request: Request) -> Client:
    return client_of(request)


AppCollaborators = Annotated[Collaborators, Depends(get_collaborators)]
CurrentClient = Annotated[Client, Depends(get_client)]
