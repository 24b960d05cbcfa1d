"""The audit log, as administrators read it."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import update

from examples.catalogue.db.session import Database
from examples.catalogue.models.user import User
from examples.catalogue.tests.api import Api
from mscr.queries.pagination import Pager, Slice
from mscr.schemas.audit_event_schemas import AuditEventListQuery
from mscr.testing.api import Account
from mscr.testing.problems import faulty_fields, problem
from mscr.testing.tokens import session_id
from mscr.testing.walking import fetch, walk

AUDIT = "/api/v1/audit-events"


@pytest.fixture
async def admin(api: Api) -> Account:
    return await api.register_admin()


async def test_the_newest_event_comes_first(api: Api, admin: Account) -> None:
    user = await api.register()
    await api.try_login(user.email, "no such password")

    page = await fetch(api, admin, AUDIT)

    told = [(event["action"], event["outcome"]) for event in page["data"]]
    assert told == [("login", "failure"), ("register", "success"), ("register", "success")]
    assert page["meta"]["total"] == len(told)


async def test_an_event_has_all_documented_fields(api: Api, admin: Account) -> None:
    """AU1."""
    [event] = (await fetch(api, admin, AUDIT))["data"]

    assert event.pop("public_id")
    assert event.pop("occurred_at")
    assert event.pop("request_id")
    assert event.pop("user_agent").startswith("python-httpx2")
    assert event == {
        "action": "register",
        "outcome": "success",
        "reason": None,
        "operation": "register",
        "actor_public_id": admin.public_id,
        "account_public_id": admin.public_id,
        "session_public_id": session_id(admin.tokens),
        "ended_session_public_id": None,
        "address": "127.0.0.1",
    }


async def test_a_cursor_walks_through_all_events_once(api: Api, admin: Account) -> None:
    for _ in range(4):
        await api.login(admin)

    newest_first = await walk(api, admin, AUDIT, limit=2)
    oldest_first = await walk(api, admin, AUDIT, limit=3, sort="occurred_at")

    assert len({event["public_id"] for event in newest_first}) == 5
    assert oldest_first == newest_first[::-1]


async def test_filters_select_by_action_outcome_account_and_session(
    api: Api, admin: Account
) -> None:
    user = await api.register()
    await api.try_login(user.email, "no such password")
    await api.client.post(f"/api/v1/users/{user.public_id}/deactivate", headers=admin.headers)

    async def chosen(**query: Any) -> list[str]:
        return sorted(
            event["action"] for event in (await fetch(api, admin, AUDIT, **query))["data"]
        )

    assert await chosen(action="login") == ["login"]
    assert await chosen(outcome="failure") == ["login"]
    assert await chosen(actor=admin.public_id) == ["deactivate_user", "register"]
    assert await chosen(account=user.public_id) == ["deactivate_user", "login", "register"]
    assert await chosen(session=session_id(user.tokens)) == ["register"]
    assert await chosen(account=user.public_id, outcome="success") == [
        "deactivate_user",
        "register",
    ]


async def test_the_events_of_a_session_include_its_end(api: Api, admin: Account) -> None:
    """AU1: filtering by either session finds it, the one that ended and the one that ended it."""
    ending, ended = await api.login(admin), await api.login(admin)
    path = f"/api/v1/auth/sessions/{session_id(ended.tokens)}"
    await api.client.delete(path, headers=ending.headers)

    for login in (ending, ended):
        page = await fetch(api, admin, AUDIT, session=session_id(login.tokens))
        assert [event["action"] for event in page["data"]] == ["end_session", "login"]
        assert page["data"][0]["session_public_id"] == session_id(ending.tokens)
        assert page["data"][0]["ended_session_public_id"] == session_id(ended.tokens)


async def test_a_time_range_includes_its_start_and_excludes_its_end(
    api: Api, admin: Account
) -> None:
    await api.login(admin)
    last, first = (await fetch(api, admin, AUDIT))["data"]

    async def within(**query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await fetch(api, admin, AUDIT, **query))["data"]
        return found

    assert await within(since=last["occurred_at"]) == [last]
    assert await within(until=last["occurred_at"]) == [first]
    assert len(await within(since="0001-01-01T00:00:00Z", until="9999-12-31T23:59:59Z")) == 2
    later = datetime.fromisoformat(last["occurred_at"]) + timedelta(microseconds=1)
    assert await within(since=later.isoformat()) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"action": "nonsense"}, "action"),
        ({"outcome": "maybe"}, "outcome"),
        ({"actor": "me"}, "actor"),
        ({"since": "yesterday"}, "since"),
        ({"until": "0.5"}, "until"),
        ({"until": "2027-01-31T12:00:00"}, "until"),
        ({"since": "0001-01-01T00:00:00+14:00"}, "since"),
        ({"until": "9999-12-31T23:59:59-00:01"}, "until"),
        ({"sort": "address"}, "sort"),
        ({"address": "203.0.113.7"}, "address"),
    ],
)
async def test_an_invalid_filter_is_refused(
    api: Api, admin: Account, query: dict[str, str], field: str
) -> None:
    """IN4: including times without an offset, which are ambiguous, and times that UTC lacks."""
    response = await api.client.get(AUDIT, params=query, headers=admin.headers)
    assert faulty_fields(response) == [["query", field]]


async def test_a_cursor_is_bound_to_its_caller_and_filter(api: Api, admin: Account) -> None:
    """IN4."""
    await api.login(admin)
    other = await api.register_admin()
    cursor = (await fetch(api, admin, AUDIT, limit=1))["meta"]["next_cursor"]

    for reader, query in ((other, {}), (admin, {"action": "login"})):
        params = {"cursor": cursor, **query}
        response = await api.client.get(AUDIT, params=params, headers=reader.headers)
        problem(response, 422, "invalid_cursor")


async def test_a_cursor_of_another_list_is_refused(api: Api, admin: Account, app: FastAPI) -> None:
    """IN4: even for the same caller with the same filters and sort order."""
    pager: Pager = app.state.collaborators.pager
    statuses = []
    for resource in ("audit-events", "another-list"):
        request = pager.page_request(AuditEventListQuery(limit=1), resource, admin.public_id)
        [event] = (await fetch(api, admin, AUDIT))["data"]
        key = (datetime.fromisoformat(event["occurred_at"]), event["public_id"])
        meta = pager.page(Slice([], next_key=key), request).meta
        params = {"cursor": meta.model_dump()["next_cursor"]}
        response = await api.client.get(AUDIT, params=params, headers=admin.headers)
        statuses.append(response.status_code)

    assert statuses == [200, 422]


async def test_reading_the_log_does_not_wait_for_a_writer(
    api: Api, admin: Account, database: Database
) -> None:
    """On SQLite, a database session that may write would wait for every other writer."""
    async with database.sessions.begin() as session:
        await session.execute(update(User).values(full_name="Ada"))
        assert len((await fetch(api, admin, AUDIT))["data"]) == 1
