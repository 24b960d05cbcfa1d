"""Actions that an application adds to those of the kit's audit log."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from examples.catalogue.core.config import Settings
from examples.catalogue.main import create_app
from examples.catalogue.tests.api import Api
from mscr.endpoints.audit import Audit
from mscr.endpoints.callers import CurrentPrincipal
from mscr.endpoints.database import DbSession
from mscr.models.audit_event import MAX_ACTION_LENGTH, Action, AuditAction
from mscr.services.audit_event_service import Parties
from mscr.testing.databases import on_sqlite
from mscr.testing.problems import faulty_fields
from mscr.testing.walking import fetch

AUDIT = "/api/v1/audit-events"


class VaultAction(Action):
    OPEN_VAULT = "open_vault"


@pytest.fixture
async def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    """An application whose `OwnAction` has one member, and a route that records it."""
    monkeypatch.setattr("examples.catalogue.main.OwnAction", VaultAction)
    app = create_app(settings)

    @app.post("/vault")
    async def open_vault(caller: CurrentPrincipal, audit: Audit, db: DbSession) -> None:
        await audit.record(VaultAction.OPEN_VAULT, Parties.owner(caller.public_id))
        await db.commit()

    async with app.router.lifespan_context(app):
        yield app


async def test_an_own_action_is_recorded_and_found_by_the_filter(api: Api) -> None:
    """AU1."""
    admin = await api.register_admin()
    await api.client.post("/vault", headers=admin.headers)

    [event] = (await fetch(api, admin, AUDIT, action="open_vault"))["data"]
    [other] = (await fetch(api, admin, AUDIT, action="register"))["data"]

    assert (event["action"], event["account_public_id"]) == ("open_vault", admin.public_id)
    assert other["action"] == "register"


@on_sqlite
async def test_an_unknown_action_is_refused(api: Api) -> None:
    admin = await api.register_admin()

    response = await api.client.get(f"{AUDIT}?action=close_vault", headers=admin.headers)

    assert faulty_fields(response) == [["query", "action"]]


@on_sqlite
def test_the_documentation_lists_all_actions(app: FastAPI) -> None:
    schema = app.openapi()["components"]["schemas"]["AuditAction"]

    assert schema["enum"] == [*(action.value for action in AuditAction), "open_vault"]


class SameName(Action):
    LOGIN = "open_vault"


class SameValue(Action):
    OPEN_VAULT = "login"


class TooLong(Action):
    OPEN_VAULT = "v" * (MAX_ACTION_LENGTH + 1)


class LongestFit(Action):
    OPEN_VAULT = "v" * MAX_ACTION_LENGTH


@on_sqlite
@pytest.mark.parametrize(
    ("actions", "fault"),
    [
        (SameName, "SameName.LOGIN: the kit's AuditAction has a member of this name"),
        (SameValue, "SameValue.OPEN_VAULT: the kit's AuditAction has the value 'login' too"),
        (TooLong, "TooLong.OPEN_VAULT: the value is longer than 40 characters"),
    ],
)
def test_an_unfit_action_prevents_the_start(
    actions: type[Action], fault: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The filter could not select it, or the request that records it would fail."""
    monkeypatch.setattr("examples.catalogue.main.OwnAction", actions)

    with pytest.raises(ValueError, match=f"^{fault}$"):
        create_app(settings)


@on_sqlite
def test_an_action_may_have_40_characters(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("examples.catalogue.main.OwnAction", LongestFit)

    schema = create_app(settings).openapi()["components"]["schemas"]["AuditAction"]

    assert LongestFit.OPEN_VAULT.value in schema["enum"]
