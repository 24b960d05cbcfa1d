"""Checks of who may call each route."""

from datetime import UTC, datetime, timedelta

from fastapi import FastAPI

from mscr.db.session import Database
from mscr.endpoints.permissions import get_recent_principal
from mscr.testing.access import access_faults
from mscr.testing.api import Api
from mscr.testing.databases import on_sqlite
from mscr.testing.problems import problem
from mscr.testing.route_caller import RouteCaller
from mscr.testing.route_checks.fixtures import OF_ALL_ROUTES, Crawled
from mscr.testing.routes import ApiRoute, routes_of
from mscr.testing.tokens import change_family

LONG_AGO = timedelta(days=365)


@OF_ALL_ROUTES
class AccessChecks:
    """Each route lets in the callers that its dependencies name, and shows them in OpenAPI."""

    def test_every_route_responds_to_each_caller_as_its_dependencies_require(
        self, app: FastAPI, crawled: Crawled
    ) -> None:
        """AZ1, AZ2."""
        faults = "\n".join(access_faults(routes_of(app), crawled.answers))
        assert not faults, faults

    @on_sqlite
    def test_the_documentation_shows_which_routes_need_a_permission(
        self, app: FastAPI, crawled: Crawled
    ) -> None:
        """AZ1: as OAuth2 scopes, none of which ordinary users have."""
        routes = routes_of(app)

        refused = {
            answer.route
            for answer in crawled.answers
            if answer.caller == "user"
            and answer.response.status_code == 403
            and routes[answer.route].sharing != "visible"
        }
        assert refused == {name for name, route in routes.items() if _scopes(route)}
        assert {name: set(route.permissions) for name, route in routes.items()} == {
            name: _scopes(route) for name, route in routes.items()
        }

    @on_sqlite
    async def test_a_forged_token_is_401_on_every_protected_route(
        self, app: FastAPI, api: Api
    ) -> None:
        """AZ1: also where a token is optional."""
        caller, headers = RouteCaller(api, app), api.authorization("e30.e30.e30")
        protected = [name for name, route in caller.routes.items() if route.access != "open"]

        found = {r: (await caller.call(r, "user", headers=headers)).status_code for r in protected}

        assert found == dict.fromkeys(protected, 401)

    @on_sqlite
    async def test_a_route_for_recently_authenticated_callers_refuses_others(
        self, app: FastAPI, api: Api, database: Database
    ) -> None:
        """AZ1: these have `RecentPrincipal` among their dependencies."""
        caller = RouteCaller(api, app)
        for name, route in caller.routes.items():
            if get_recent_principal in route.calls:
                account = await caller.party("administrator")
                earlier = datetime.now(UTC) - LONG_AGO
                await change_family(database, account, authenticated_at=earlier)
                refused = await caller.call(name, "administrator")
                problem(refused, 403, "reauthentication_required")


def _scopes(route: ApiRoute) -> set[str]:
    ways = route.operation.get("security", [])
    return {scope for way in ways for scopes in way.values() for scope in scopes}
