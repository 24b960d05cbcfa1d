"""The audit log: the events of successful and of refused actions."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, NamedTuple

import pytest
import time_machine
from fastapi import FastAPI
from sqlalchemy import select

from examples.catalogue.core.permissions import Permission
from examples.catalogue.db.session import Database
from examples.catalogue.models.kit_tables import AuditEvent, RefreshToken
from examples.catalogue.tests.api import Api
from mscr.core.security.principal import Principal
from mscr.endpoints.permissions import require_permission
from mscr.models.audit_event import AuditAction
from mscr.models.base import utcnow
from mscr.testing.api import PASSWORD, Account
from mscr.testing.applications import client_from
from mscr.testing.databases import on_sqlite
from mscr.testing.table_rows import all_rows
from mscr.testing.tokens import NO_INTERVAL, change_family, rotated, session_id

ADDRESS: Final = "203.0.113.7"
BROWSER: Final = "Mozilla/5.0 (X11; Linux x86_64) Firefox/152.0"
REQUEST_ID: Final = "the-request-in-question"
WRONG: Final = "no such password"
USERS: Final = "/api/v1/users"
ME: Final = f"{USERS}/me"
SESSIONS: Final = "/api/v1/auth/sessions"
LONG_AGO: Final = timedelta(minutes=16)
EVERY_ATTEMPT: Final = 6


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[Api]:
    """Send with an address, a user agent and a request id that the log must have."""
    async with client_from(ADDRESS, app) as client:
        client.headers.update({"User-Agent": BROWSER, "X-Request-ID": REQUEST_ID})
        yield Api(client, app.state.database)


class Cast(NamedTuple):
    user: Account
    other: Account
    admin: Account


@pytest.fixture
async def cast(api: Api) -> Cast:
    return Cast(await api.register(), await api.register(), await api.register_admin())


async def events_of(database: Database, *, since: int = 0) -> list[dict[str, Any]]:
    """Return the events of the log, oldest first, without their times and ids."""
    async with database.read_sessions() as session:
        rows = await session.scalars(select(AuditEvent).order_by(AuditEvent.id))
        columns = AuditEvent.__table__.columns.keys()
        left_out = {"id", "public_id", "occurred_at", "is_deleted", "deleted_at"}
        return [
            {name: getattr(row, name) for name in columns if name not in left_out}
            for row in rows.all()[since:]
        ]


async def only_new_event(database: Database, act: Awaitable[object]) -> dict[str, Any]:
    before = len(await events_of(database))
    await act
    [event] = await events_of(database, since=before)
    return event


async def register(api: Api, cast: Cast) -> None:
    body = {"email": "new@example.com", "password": PASSWORD}
    await api.client.post("/api/v1/auth/register", json=body)


async def login(api: Api, cast: Cast) -> None:
    await api.login(cast.user)


async def logout(api: Api, cast: Cast) -> None:
    body = {"refresh_token": cast.user.refresh_token}
    await api.client.post("/api/v1/auth/logout", json=body)


async def post(api: Api, caller: Account, path: str, **body: Any) -> None:
    await api.client.post(path, json=body or None, headers=caller.headers)


async def logout_all(api: Api, cast: Cast) -> None:
    await post(api, cast.user, "/api/v1/auth/logout-all")


async def reauthenticate(api: Api, cast: Cast) -> None:
    await post(api, cast.user, "/api/v1/auth/reauthenticate", password=PASSWORD)


async def end_session(api: Api, cast: Cast) -> None:
    newest, *_ = (await api.client.get(SESSIONS, headers=cast.user.headers)).json()["data"]
    await api.client.delete(f"{SESSIONS}/{newest['public_id']}", headers=cast.user.headers)


async def end_other_sessions(api: Api, cast: Cast) -> None:
    await api.client.delete(SESSIONS, headers=cast.user.headers)


async def change_password(api: Api, cast: Cast) -> None:
    new = "another good passphrase"
    path = f"{ME}/change-password"
    await post(api, cast.user, path, current_password=PASSWORD, new_password=new)


async def delete_me(api: Api, cast: Cast, password: str = PASSWORD) -> None:
    body = {"password": password}
    await api.client.request("DELETE", ME, json=body, headers=cast.user.headers)


async def activate(api: Api, cast: Cast) -> None:
    await post(api, cast.admin, f"{USERS}/{cast.user.public_id}/activate")


async def deactivate(api: Api, cast: Cast) -> None:
    await post(api, cast.admin, f"{USERS}/{cast.user.public_id}/deactivate")


Act = Callable[[Api, Cast], Awaitable[None]]


class Done(NamedTuple):
    """The event of a success. "new" is an id that only the action itself creates."""

    act: Act
    operation: str
    actor: str = "user"
    account: str = "user"
    session: str | None = "own"
    ended: str | None = None
    after: Act | None = None


DONE: Final = {
    AuditAction.REGISTER: Done(register, "register", "new", "new", "new"),
    AuditAction.LOGIN: Done(login, "login", session="new"),
    AuditAction.LOGOUT: Done(logout, "logout"),
    AuditAction.LOGOUT_ALL: Done(logout_all, "logout_all"),
    AuditAction.REAUTHENTICATE: Done(reauthenticate, "reauthenticate"),
    AuditAction.END_SESSION: Done(end_session, "end_session", ended="other", after=login),
    AuditAction.END_OTHER_SESSIONS: Done(end_other_sessions, "end_other_sessions", after=login),
    AuditAction.CHANGE_PASSWORD: Done(change_password, "change_password", session="new"),
    AuditAction.DELETE_ACCOUNT: Done(delete_me, "delete_me", session=None),
    AuditAction.ACTIVATE_USER: Done(activate, "activate_user", "admin", after=deactivate),
    AuditAction.DEACTIVATE_USER: Done(deactivate, "deactivate_user", "admin"),
}


@pytest.mark.parametrize("action", DONE)
async def test_a_success_is_recorded_with_actor_and_origin(
    browser: Api, cast: Cast, database: Database, action: AuditAction
) -> None:
    """AU1."""
    done = DONE[action]
    if done.after is not None:
        await done.after(browser, cast)

    event = await only_new_event(database, done.act(browser, cast))

    names = ("actor", "account", "session", "ended_session")
    who = {name: event.pop(f"{name}_public_id") for name in names}
    assert event == {
        "action": action.value,
        "outcome": "success",
        "reason": None,
        "operation": done.operation,
        "address": ADDRESS,
        "user_agent": BROWSER,
        "request_id": REQUEST_ID,
    }
    caller = cast.admin if done.actor == "admin" else cast.user
    if done.actor == "new":
        assert who["actor"] == who["account"] not in {None, cast.user.public_id}
    else:
        assert (who["actor"], who["account"]) == (caller.public_id, cast.user.public_id)
    if done.session == "new":
        assert who["session"] not in {None, session_id(caller.tokens)}
    else:
        assert who["session"] == (done.session and session_id(caller.tokens))
    assert (who["ended_session"] not in {None, who["session"]}) == (done.ended == "other")


def test_every_action_of_the_api_is_tested() -> None:
    by_operators = {
        AuditAction.CREATE_USER,
        AuditAction.SET_PASSWORD,
        AuditAction.CHANGE_ROLE,
        AuditAction.CLEANUP_AUDIT,
        AuditAction.PURGE_DELETED,
    }
    only_refused = {AuditAction.REFRESH, AuditAction.CONFIRM_PASSWORD, AuditAction.ACCESS}
    by_mail = {AuditAction.REQUEST_REGISTRATION}  # in mscr/tests/mail
    recovery = {  # in mscr/tests/recovery
        AuditAction.REQUEST_PASSWORD_RESET,
        AuditAction.RESET_PASSWORD,
        AuditAction.REQUEST_EMAIL_VERIFICATION,
        AuditAction.VERIFY_EMAIL,
        AuditAction.REQUEST_EMAIL_CHANGE,
        AuditAction.CHANGE_EMAIL,
    }
    jobs = {AuditAction.RETRY_JOB, AuditAction.DROP_JOB}  # in mscr/tests/jobs
    assert set(AuditAction) == {*DONE, *by_operators, *only_refused, *by_mail, *recovery, *jobs}


async def test_a_login_is_recorded_with_its_new_session(
    api: Api, account: Account, database: Database
) -> None:
    """AU1: so that a session can be traced to its login."""
    event = await only_new_event(database, api.login(account))

    async with database.read_sessions() as session:
        newest = select(RefreshToken.public_id).order_by(RefreshToken.id.desc()).limit(1)
        assert event["session_public_id"] == await session.scalar(newest)


async def test_a_request_without_effect_is_not_recorded(
    api: Api, cast: Cast, database: Database
) -> None:
    """AU1: the account was already active, inactive or logged out."""
    left = cast._replace(user=await api.login(cast.other))
    await logout(api, left)
    await deactivate(api, cast)
    before = await events_of(database)

    await logout(api, left)
    await deactivate(api, cast)
    await activate(api, cast._replace(user=cast.other))
    await end_other_sessions(api, cast._replace(user=cast.other))

    assert await events_of(database) == before


@pytest.mark.settings(MAX_SESSIONS_PER_USER=2)
async def test_a_session_ended_by_the_session_limit_is_recorded_with_the_login(
    api: Api, account: Account, database: Database
) -> None:
    """AU1, SE4."""
    await api.login(account)
    before = len(await events_of(database))
    newest = await api.login(account)

    told, ended = await events_of(database, since=before)

    assert told["action"] == "login"
    named = {"action": "end_session", "reason": "session_limit", "outcome": "success"}
    sessions = {"ended_session_public_id": session_id(account.tokens)}
    assert ended == told | named | sessions
    assert ended["session_public_id"] == session_id(newest.tokens)


async def test_a_logout_with_an_exchanged_token_is_recorded_without_an_actor(
    api: Api, cast: Cast, database: Database
) -> None:
    """AU1: a thief may have sent it. The event still names the account and the session."""
    newest = await rotated(api, cast.user.refresh_token)

    event = await only_new_event(database, logout(api, cast))

    who = [event[f"{name}_public_id"] for name in ("actor", "account", "session")]
    assert who == [None, cast.user.public_id, session_id(newest)]


async def test_an_event_has_its_time(account: Account, database: Database) -> None:
    """AU1."""
    async with database.read_sessions() as session:
        event = (await session.scalars(select(AuditEvent))).one()

    assert abs(datetime.now(UTC) - event.occurred_at) < timedelta(seconds=30)


async def test_a_refresh_adds_no_event(api: Api, account: Account, database: Database) -> None:
    """RT13: the log grows with logins, not with refreshes."""
    before = await events_of(database)
    await rotated(api, account.refresh_token)

    assert await events_of(database) == before


# --- refusals


async def wrong_password(api: Api, cast: Cast, _: Database) -> None:
    await api.try_login(cast.user.email, WRONG)


async def unknown_account(api: Api, cast: Cast, _: Database) -> None:
    await api.try_login("nobody@example.com", PASSWORD)


async def inactive(api: Api, cast: Cast, _: Database) -> None:
    await api.try_login(cast.user.email, PASSWORD)


async def taken_address(api: Api, cast: Cast, _: Database) -> None:
    body = {"email": cast.user.email, "password": PASSWORD}
    await api.client.post("/api/v1/auth/register", json=body)


async def wrong_confirmation(api: Api, cast: Cast, _: Database) -> None:
    await delete_me(api, cast, WRONG)


async def reuse(api: Api, cast: Cast, _: Database) -> None:
    await rotated(api, cast.user.refresh_token)
    await api.refresh(cast.user.refresh_token)


async def revoked(api: Api, cast: Cast, database: Database) -> None:
    await change_family(database, cast.user, revoked_at=utcnow())
    await api.refresh(cast.user.refresh_token)


async def expired(api: Api, cast: Cast, database: Database) -> None:
    await change_family(database, cast.user, expires_at=utcnow())
    await api.refresh(cast.user.refresh_token)


async def forbidden(api: Api, cast: Cast, _: Database) -> None:
    await api.client.get(USERS, headers=cast.user.headers)


async def last_admin(api: Api, cast: Cast, _: Database) -> None:
    await post(api, cast.admin, f"{USERS}/{cast.admin.public_id}/deactivate")


Refuse = Callable[[Api, Cast, Database], Awaitable[None]]


class Refused(NamedTuple):
    """The event of a refusal. None is an actor, account or session that is unknown."""

    refuse: Refuse
    action: str
    reason: str
    operation: str
    actor: str | None = None
    account: str | None = None
    session: str | None = None


REFUSED: Final = [
    Refused(wrong_password, "login", "wrong_password", "login", account="user"),
    Refused(unknown_account, "login", "unknown_account", "login"),
    Refused(taken_address, "register", "email_taken", "register"),
    Refused(wrong_confirmation, "confirm_password", "wrong_password", "delete_me", "user", "user"),
    Refused(reuse, "refresh", "reuse_detected", "refresh_tokens", None, "user", "user"),
    Refused(revoked, "refresh", "revoked", "refresh_tokens", None, "user", "user"),
    Refused(expired, "refresh", "expired", "refresh_tokens", None, "user", "user"),
    Refused(forbidden, "access", "permission_missing", "list_users", "user", None, "user"),
    Refused(
        *(last_admin, "deactivate_user", "last_administrator", "deactivate_user"),
        *("admin", "admin", "admin"),
    ),
]


@NO_INTERVAL
@pytest.mark.parametrize("case", REFUSED, ids=[case.refuse.__name__ for case in REFUSED])
async def test_a_refusal_is_recorded_with_its_reason(
    browser: Api, cast: Cast, database: Database, case: Refused
) -> None:
    """AU1, RT12: the log has the reason, which the response does not reveal."""
    event = await only_new_event(database, case.refuse(browser, cast, database))

    public = {"user": cast.user, "admin": cast.admin}
    assert event == {
        "action": case.action,
        "outcome": "failure",
        "reason": case.reason,
        "operation": case.operation,
        "actor_public_id": public[case.actor].public_id if case.actor else None,
        "account_public_id": public[case.account].public_id if case.account else None,
        "session_public_id": session_id(public[case.session].tokens) if case.session else None,
        "ended_session_public_id": None,
        "address": ADDRESS,
        "user_agent": BROWSER,
        "request_id": REQUEST_ID,
    }


async def test_a_login_to_a_deactivated_account_is_recorded_as_inactive(
    api: Api, cast: Cast, database: Database
) -> None:
    """AU1: only with the right password; a guess is recorded as a wrong password."""
    await deactivate(api, cast)

    for refuse, reason in ((inactive, "inactive"), (wrong_password, "wrong_password")):
        event = await only_new_event(database, refuse(api, cast, database))
        assert (event["reason"], event["account_public_id"]) == (reason, cast.user.public_id)


@pytest.mark.settings(JWT_ACCESS_TOKEN_EXPIRE_MINUTES=60)
async def test_a_sensitive_change_without_recent_authentication_is_recorded(
    api: Api, cast: Cast, database: Database
) -> None:
    """AU1."""
    with time_machine.travel(datetime.now(UTC) + LONG_AGO):
        event = await only_new_event(database, delete_me(api, cast))

    assert (event["action"], event["reason"]) == ("access", "reauthentication_required")
    assert (event["actor_public_id"], event["operation"]) == (cast.user.public_id, "delete_me")


async def test_a_refusal_on_a_route_without_an_operation_id_is_recorded(
    api: Api, app: FastAPI, cast: Cast, database: Database
) -> None:
    """AU1: with the id that the framework generates from its name and path, truncated."""
    path = f"/{'long' * 40}"

    @app.get(path)
    async def read_the_books(
        _: Annotated[Principal, require_permission(Permission.AUDIT_READ)],
    ) -> None:
        """For administrators."""

    event = await only_new_event(database, api.client.get(path, headers=cast.user.headers))

    assert event["operation"].startswith("read_the_books")
    assert len(event["operation"]) == 100


@pytest.mark.settings(RATE_LIMIT_ENABLED=True)
async def test_a_rate_limited_caller_is_recorded_once(
    api: Api, cast: Cast, database: Database
) -> None:
    """AU1, AU3: a flood of refusals does not fill the log."""
    for _ in range(EVERY_ATTEMPT):
        await wrong_password(api, cast, database)

    found = [event["reason"] for event in await events_of(database, since=3)]
    assert found == ["wrong_password"] * 5 + ["too_many_requests"]
    await wrong_password(api, cast, database)
    assert len(await events_of(database, since=3)) == len(found)


@on_sqlite
@pytest.mark.settings(RATE_LIMIT_ENABLED=True)
@pytest.mark.parametrize("refuse", [revoked, forbidden])
async def test_a_repeated_refusal_is_recorded_again_after_the_window(
    api: Api, cast: Cast, database: Database, refuse: Refuse
) -> None:
    """AU3."""
    for _ in range(3):
        await refuse(api, cast, database)
    assert len(await events_of(database, since=3)) == 1

    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=15), tick=False):
        cast = cast._replace(user=await api.login(cast.user))
        await refuse(api, cast, database)

    assert [event["outcome"] for event in await events_of(database, since=4)] == [
        "success",
        "failure",
    ]


async def test_concurrent_registrations_are_recorded_as_one_success(
    api: Api, database: Database
) -> None:
    """AU2: the database decides the race, and the log has its result."""
    body = {"email": "ada@example.com", "password": PASSWORD}
    await asyncio.gather(*[api.client.post("/api/v1/auth/register", json=body) for _ in range(10)])

    outcomes = sorted(event["outcome"] for event in await events_of(database))
    assert outcomes == ["failure"] * 9 + ["success"]


@NO_INTERVAL
async def test_reuse_is_recorded_together_with_the_revocation(
    api: Api, cast: Cast, database: Database
) -> None:
    """AU2: both are committed before the response."""
    await reuse(api, cast, database)

    rows = await all_rows(database)
    names = [column.name for column in RefreshToken.__table__.columns]
    reasons = [
        dict(zip(names, row, strict=True))["revoked_reason"] for row in rows["refresh_tokens"]
    ]
    assert "reuse" in reasons
    assert (await events_of(database))[-1]["reason"] == "reuse_detected"


async def test_the_audit_log_outlives_the_account(api: Api, cast: Cast, database: Database) -> None:
    before = await events_of(database)
    await delete_me(api, cast)

    assert (await events_of(database))[: len(before)] == before


async def test_no_field_of_a_body_is_in_the_audit_log(
    api: Api, cast: Cast, database: Database
) -> None:
    """AU4: users sometimes type the password into the field of the address."""
    await api.try_login("canary-password-in-the-wrong-field", "canary-password")
    await api.try_login(cast.user.email, "canary-password")
    await reuse(api, cast, database)
    await change_password(api, Cast(await api.login(cast.user), cast.other, cast.admin))
    await delete_me(api, cast._replace(user=cast.other), "canary-password")

    told = str(await events_of(database))
    assert "canary" not in told
    assert PASSWORD not in told
    assert "@" not in told
    assert cast.user.refresh_token not in told
    assert cast.user.access_token not in told
