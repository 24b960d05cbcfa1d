"""Counts the SQL statements of each route, with few rows in each list and with more."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from fastapi import FastAPI
from httpx2 import Response

from mscr.schemas.list_schemas import DEFAULT_PAGE_SIZE
from mscr.testing.api import Account, Api
from mscr.testing.objects import REMEDY, refusal, sent, shown_rows
from mscr.testing.route_caller import RouteCaller
from mscr.testing.routes import ApiRoute
from mscr.testing.statements import StatementCounter

FEW: Final = 2
MANY: Final = 5
# The first row of a list may cost one more, for all of its related rows.
ONCE: Final = 1
READINESS: Final = "/health/ready"


class StatementRun(NamedTuple):
    """The statements of each route with few and with many rows, for an owner and administrator."""

    few: dict[str, int]
    many: dict[str, int]
    refused: Mapping[str, str] = {}
    """The status and code of each route that refused the request: its statements mean nothing."""
    full: Mapping[str, int] = {}
    """The rows of each list that showed no more of them after more were created."""

    @property
    def recorded(self) -> Mapping[str, int | str]:
        """Return the statements of each route, or why it refused the request."""
        return {**self.many, **self.refused}

    def growing(self) -> list[str]:
        """Return a line for each route that executes more statements if there are more rows."""
        grown = [
            f"{route}: {self.few[route]} statements with {FEW} rows in each list, {number} with "
            f"{MANY}: one for each row (N+1)"
            for route, number in self.many.items()
            if number > self.few.get(route, number) + ONCE
        ]
        return grown + [
            f"{route}: shows {number} rows before and after more were created, so that a statement "
            f"for each row would not be noticed; {REMEDY}"
            for route, number in self.full.items()
        ]


class _Counts(NamedTuple):
    statements: dict[str, int]
    refused: dict[str, str]
    shown: dict[str, int]


async def statements_of_routes(api: Api, app: FastAPI, queries: StatementCounter) -> StatementRun:
    """Call each route as an administrator, on the caller's own objects.

    Raises `AssertionError` if the POST of a list refuses a second row.
    """
    await api.register_admin()  # so that the caller is not the last administrator
    # More accounts than a page of a list of them: how many the routes themselves create depends on
    # the number of routes, and a page that is not the last one may cost a statement more.
    for _ in range(DEFAULT_PAGE_SIZE):
        await api.register()
    # The first probe of a process compares the schema with the models.
    await api.client.get(READINESS)
    few = await _counted(api, app, queries, rows=FEW)
    many = await _counted(api, app, queries, rows=MANY)
    full = {name: rows for name, rows in few.shown.items() if many.shown.get(name, 0) <= rows}
    return StatementRun(few.statements, many.statements, few.refused | many.refused, full)


async def _counted(api: Api, app: FastAPI, queries: StatementCounter, *, rows: int) -> _Counts:
    caller, found = RouteCaller(api, app, owns=True), _Counts({}, {}, {})
    filled: Account | None = None
    lists = {f"GET {route.path}" for route in _collections(caller)}

    async def send(varied: int) -> Response:
        nonlocal filled
        prepared = await caller.prepare(name, "administrator", varied=varied)
        if filled != (filled := await caller.party("administrator")):
            await _fill(api, caller, filled, rows)
        with queries.counted() as statements:
            response = await prepared.send()
        found.statements[name] = len(statements)
        return response

    # Reads first: later, the rows of all accounts could fill the first page of a list.
    for name, route in sorted(caller.routes.items(), key=lambda item: not item[1].is_safe):
        # An object was created from the same examples: with these, a change would change nothing.
        response = await sent(send, varied=1 if route.method in {"PATCH", "PUT"} else 0)
        assert response.status_code < 500, name
        caller.note(name, "administrator", response)
        if not response.is_success:
            found.refused[name] = refusal(response)
            del found.statements[name]
        elif name in lists and (shown := shown_rows(response)) is not None:
            found.shown[name] = shown
    return found


async def _fill(api: Api, caller: RouteCaller, account: Account, rows: int) -> None:
    """Add rows to the account's lists, beside the one of a path."""
    for _ in range(rows - 1):
        await api.login(account)
        for route in _collections(caller):
            path = (await caller.objects.place(route, account)).path
            response = await caller.objects.send(route, account, path, varied=1)
            if not response.is_success:
                read = await caller.objects.send(caller.routes[f"GET {route.path}"], account, path)
                # An object of which each account has one is no list.
                assert shown_rows(read) is None, (
                    f"{route.name}: {refusal(response)}: cannot add a second row; {REMEDY}"
                )


def _collections(caller: RouteCaller) -> Iterator[ApiRoute]:
    for route in caller.routes.values():
        is_list = f"GET {route.path}" in caller.routes
        if route.method == "POST" and is_list and route.needs_caller:
            yield route
