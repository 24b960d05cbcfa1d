"""Valid requests to any route, from any kind of caller."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from fastapi import FastAPI
from httpx2 import Response

from mscr.testing.api import Account, Api
from mscr.testing.cookies import cookie
from mscr.testing.json_schema import EXAMPLES
from mscr.testing.objects import Objects, Place, sent
from mscr.testing.routes import ApiRoute, Caller


class Cast(NamedTuple):
    """The parties of a call: the caller unless anonymous, and the owner of the object."""

    account: Account | None
    owner: Account


@dataclass(frozen=True)
class PreparedCall:
    """A request that is ready to be sent, when all that it needs has been created."""

    api: Api
    method: str
    place: Place
    arguments: Mapping[str, Any]

    async def send(self) -> Response:
        return await self.api.client.request(self.method, self.place.path, **self.arguments)


class RouteCaller:
    """Calls routes, each time with accounts and objects that no earlier call has changed.

    A path names an object of another user, or with `owns` one of the caller. After each successful
    call, except after reads, the next one has new accounts.
    """

    def __init__(self, api: Api, app: FastAPI, *, owns: bool = False) -> None:
        self.objects = Objects(api, app)
        self._api = api
        self._owns = owns
        self._unchanged: dict[Caller, Cast] = {}

    @property
    def routes(self) -> Mapping[str, ApiRoute]:
        return self.objects.routes

    async def call(self, route: str, caller: Caller, **request: Any) -> Response:
        """Send a valid request, in other words if the examples of its texts are taken.

        `request` replaces parts of it, as arguments of the HTTP client.
        """

        async def send(varied: int) -> Response:
            return await (await self.prepare(route, caller, varied=varied, **request)).send()

        response = await sent(send)
        self.note(route, caller, response)
        return response

    async def prepare(
        self, route: str, caller: Caller, *, varied: int = 0, **request: Any
    ) -> PreparedCall:
        """Create the accounts and objects of a call. `varied`: see `Objects.body`."""
        found, examples = self.routes[route], self.objects.examples
        cast = await self._cast(caller)
        sender = cast.account or cast.owner
        place = await self.objects.place(found, cast.owner)
        body = await self.objects.body(found, sender, varied=varied)
        if place.target == "none" and body and EXAMPLES["uuid"] in str(body.value):
            place = place._replace(target="other")
        whole = {"params": examples.query(found), **(body.arguments() if body else {})}
        whole["headers"] = (
            (cast.account.headers if cast.account else {})
            | whole.get("headers", {})
            | (cookie(sender.refresh_token) if found.reads_cookie else {})
        )
        return PreparedCall(self._api, found.method, place, {**whole, **request})

    def note(self, route: str, caller: Caller, response: Response) -> None:
        """Use new accounts for the next call if this one may have changed these."""
        if response.is_success and not self.routes[route].is_safe:
            del self._unchanged[caller]

    async def party(self, caller: Caller) -> Account:
        """Return the account of the next call, or for an anonymous client the object's owner."""
        cast = await self._cast(caller)
        return cast.account or cast.owner

    async def _cast(self, caller: Caller) -> Cast:
        if caller not in self._unchanged:
            account = await self._account(caller)
            owner = account if self._owns and account else await self._api.register()
            self._unchanged[caller] = Cast(account, owner)
        return self._unchanged[caller]

    async def _account(self, caller: Caller) -> Account | None:
        if caller == "anonymous":
            return None
        return await (self._api.register_admin if caller != "user" else self._api.register)()
