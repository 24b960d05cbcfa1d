"""Database sessions of requests, as dependencies of routes."""

from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from mscr.core.security.principal import Principal
from mscr.db.replica import count_writes, open_read_session
from mscr.db.session import Database, end_session
from mscr.endpoints.callers import OptionalPrincipal, get_principal
from mscr.http.second_try import note_session


async def get_db(connection: HTTPConnection) -> AsyncGenerator[AsyncSession, None]:
    """Yield the request's session to write with. Roll back what no service has committed."""
    database: Database = connection.app.state.database
    session = database.sessions()
    note_session(connection, session.info)
    if database.has_replica:
        count_writes(session, connection.state, database)
    try:
        yield session
    finally:
        await end_session(session)


async def get_read_db(connection: HTTPConnection) -> AsyncGenerator[AsyncSession, None]:
    """Yield a read-only session in autocommit, without a transaction's round trips.

    It may read from a replica that lags. On routes with a caller, use `ReadDbSession` instead,
    which also sees the caller's own writes; on public routes, `PublicReadDbSession`.
    """
    async with connection.app.state.database.replica_sessions() as session:
        yield session


async def get_own_read_db(
    request: Request, principal: Annotated[Principal, Depends(get_principal)]
) -> AsyncGenerator[AsyncSession, None]:
    """Yield a read-only session, on a replica only if that has all of the caller's writes."""
    async with open_read_session(request.app.state.database, principal) as session:
        yield session


async def get_public_read_db(
    request: Request, caller: OptionalPrincipal
) -> AsyncGenerator[AsyncSession, None]:
    """Yield a read-only session, which may read a replica that lags if there is no caller."""
    async with open_read_session(request.app.state.database, caller) as session:
        yield session


# Closed before the response is sent: a slow client holds no connection, and no 2xx precedes COMMIT.
DbSession = Annotated[AsyncSession, Depends(get_db, scope="function")]
ReadDbSession = Annotated[AsyncSession, Depends(get_own_read_db, scope="function")]
PublicReadDbSession = Annotated[AsyncSession, Depends(get_public_read_db, scope="function")]
# For reads while the response is sent: closed afterwards, or when the client has disconnected. Call
# `release()` before waiting for anything else, so that the connection returns to the pool.
StreamingReadDbSession = Annotated[AsyncSession, Depends(get_own_read_db, scope="request")]
