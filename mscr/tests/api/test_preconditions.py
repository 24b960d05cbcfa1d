"""ETag, If-Match and If-None-Match: optimistic locking prevents lost updates (RFC 9110 §13)."""

import asyncio
import time
from typing import Any, NamedTuple

import pytest
from fastapi import FastAPI
from httpx2 import Response
from pydantic import BaseModel

from examples.catalogue.db.session import Database
from examples.catalogue.schemas.item_schemas import ItemResponse
from examples.catalogue.tests.api import Api
from mscr.http.preconditions import EntityTags
from mscr.http.representation import entity_tag
from mscr.http.responses import SuccessResponse
from mscr.testing.api import PASSWORD, Account
from mscr.testing.databases import on_sqlite
from mscr.testing.problems import faulty_fields, problem
from mscr.testing.routes import random_id
from mscr.testing.table_rows import rows_but_the_audit_log

ITEMS = "/api/v1/items"
ME = "/api/v1/users/me"
STALE = '"AAAAAAAAAAAAAAAAAAAAAA"'
# Every request that changes an existing object: method, suffix of its path, body.
CHANGES: list[tuple[str, str, Any]] = [
    ("PATCH", "", {"title": "Changed"}),
    ("DELETE", "", None),
    ("POST", "/restore", None),
]

at_once = pytest.mark.settings(DATABASE_POOL_TIMEOUT_SECONDS=30, DATABASE_LOCK_TIMEOUT_SECONDS=30)
required = pytest.mark.settings(REQUIRE_IF_MATCH=True)


class Row(NamedTuple):
    version: int


class Thing:
    """An item with its owner, and conditional requests for it."""

    def __init__(self, api: Api, owner: Account, created: Response) -> None:
        self._api = api
        self.owner = owner
        self.path = created.headers["location"]
        self.tag = created.headers["etag"]

    @classmethod
    async def create(cls, api: Api, **values: Any) -> "Thing":
        owner = await api.register()
        body = {"title": "A thing", **values}
        return cls(api, owner, await api.client.post(ITEMS, json=body, headers=owner.headers))

    async def send(
        self,
        method: str,
        suffix: str = "",
        body: Any = None,
        *,
        caller: Account | None = None,
        **conditions: str | list[str],
    ) -> Response:
        """Send a request with `if_match=` or `if_none_match=`: one value, or one for each line."""
        headers = list((caller or self.owner).headers.items())
        for name, value in conditions.items():
            lines = [value] if isinstance(value, str) else value
            headers += [(name.replace("_", "-"), line) for line in lines]
        path = self.path + suffix
        # Encode as Latin-1: header values may hold more than ASCII.
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
        return await self._api.client.request(method, path, json=body, headers=raw)

    async def patch(self, **conditions: str | list[str]) -> Response:
        return await self.send("PATCH", "", {"title": "Changed"}, caller=None, **conditions)


async def test_every_response_with_one_object_has_the_tag_of_a_get(api: Api) -> None:
    thing = await Thing.create(api)
    read = await thing.send("GET")
    assert read.headers["etag"] == thing.tag
    changed = await thing.patch()
    assert (await thing.send("GET")).headers["etag"] == changed.headers["etag"]
    await thing.send("DELETE")
    restored = await thing.send("POST", "/restore")
    assert (await thing.send("GET")).headers["etag"] == restored.headers["etag"]

    tags = {thing.tag, changed.headers["etag"], restored.headers["etag"]}
    assert len(tags) == 3
    assert all(tag.startswith('"') for tag in tags)


async def test_the_tag_stays_when_nothing_has_changed(api: Api) -> None:
    thing = await Thing.create(api)

    unchanged = [await thing.send("PATCH", "", {}), await thing.send("POST", "/restore")]

    assert [answer.headers["etag"] for answer in unchanged] == [thing.tag] * 2


def test_the_tag_depends_on_the_response_and_the_version() -> None:
    class Profile(BaseModel):
        title: str

    class Shown(Profile):
        updated_at: None = None

    def tag(version: int, title: str, shown: type[Profile] = Shown) -> str:
        return entity_tag(Row(version), shown(title=title))

    assert tag(1, "a") == tag(1, "a")
    # The row is unchanged, but a joined row or a new release changes the response.
    assert tag(1, "b") != tag(1, "a")
    # Changed and changed back (ABA): the version differs.
    assert tag(3, "a") != tag(1, "a")
    # A view without `updated_at` must not reveal by its tag that the row has changed.
    assert tag(3, "a", Profile) == tag(1, "a", Profile) != tag(1, "b", Profile)


async def test_a_change_succeeds_with_the_current_tag_and_is_412_with_an_old_one(api: Api) -> None:
    """RC4."""
    thing = await Thing.create(api, status="active")

    changed = await thing.patch(if_match=thing.tag)
    assert changed.status_code == 200
    for change in CHANGES:
        problem(await thing.send(*change, if_match=thing.tag), 412, "precondition_failed")

    read = await thing.send("GET")
    assert (read.json(), read.headers["etag"]) == (changed.json(), changed.headers["etag"])
    assert (await thing.send("DELETE", if_match=read.headers["etag"])).status_code == 204


async def test_the_tag_from_before_a_deletion_does_not_restore_the_item(api: Api) -> None:
    """RC4: deleting an item changes its tag."""
    thing = await Thing.create(api)
    await thing.send("DELETE", if_match=thing.tag)

    refused = await thing.send("POST", "/restore", if_match=thing.tag)

    problem(refused, 412, "precondition_failed")
    assert (await thing.send("POST", "/restore", if_match="*")).status_code == 200


@on_sqlite
async def test_if_match_accepts_the_syntax_of_rfc_9110(api: Api) -> None:
    """RC4: a weak tag never matches, because If-Match compares strongly."""
    thing = await Thing.create(api)
    other = '"with,commas,"'
    good: list[str | list[str]] = [
        *("*", " * ", f"{other}, {thing.tag}", f"\t{thing.tag} ,{other}", f", ,{thing.tag},,"),
        [other, thing.tag],
        f"W/{other},{thing.tag}",
    ]
    failing: list[str | list[str]] = [
        *(STALE, other, f"W/{thing.tag}", f"W/{thing.tag}, {STALE}", f'"{thing.tag[1:-2]}"'),
        [other, f"W/{thing.tag}"],
        *('""', '"\xe9"', thing.tag.upper()),
    ]

    for value in failing:
        problem(await thing.patch(if_match=value), 412, "precondition_failed")
    for value in good:
        answer = await thing.send("PATCH", "", {}, if_match=value)
        assert answer.status_code == 200, value


MALFORMED: list[str | list[str]] = [
    *("", ",", "A", "'A'", '"', '"A', 'A"', '"A" "B"', '"A""B"', 'w/"A"', 'W/ "A"', 'W"A"'),
    *('"A\x7f"', '"a b"', '*, "A"', '"A", *', '"A";"B"'),
    ["*", '"A"'],
    ['"A', 'B"'],
]


@on_sqlite
async def test_a_malformed_condition_is_422_and_nothing_is_changed(
    api: Api, database: Database
) -> None:
    """RC4: ignoring it would allow a lost update."""
    thing = await Thing.create(api)
    before = await rows_but_the_audit_log(database)

    for value in MALFORMED:
        for change in CHANGES:
            refused = await thing.send(*change, if_match=value)
            assert faulty_fields(refused) == [["header", "If-Match"]], value
        refused = await thing.send("GET", if_none_match=value)
        assert faulty_fields(refused) == [["header", "If-None-Match"]], value

    assert await rows_but_the_audit_log(database) == before


@pytest.mark.parametrize("value", [", \t" * 20_000 + "x", '"a", ' * 20_000 + '"', " " * 60_000])
def test_a_hostile_list_is_read_in_one_pass(value: str) -> None:
    started = time.perf_counter()
    with pytest.raises(ValueError, match="tag"):
        EntityTags.parse(value)
    assert time.perf_counter() - started < 1


async def test_an_unchanged_object_is_304(api: Api) -> None:
    thing = await Thing.create(api)

    for known in (thing.tag, f"W/{thing.tag}", f'"A", {thing.tag}', "*"):
        answer = await thing.send("GET", if_none_match=known)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == thing.tag
        assert {"content-type", "content-length"} & answer.headers.keys() == set()
        assert answer.headers["cache-control"] == "no-store"

    await thing.patch()
    answer = await thing.send("GET", if_none_match=thing.tag)
    assert (answer.status_code, answer.json()["data"]["title"]) == (200, "Changed")


async def test_both_conditions_apply_to_reads_and_writes(api: Api) -> None:
    """RFC 9110 §13.2.2: If-Match comes first; If-None-Match gives 304 to reads, 412 to writes."""
    thing = await Thing.create(api)

    assert (await thing.send("GET", if_match=thing.tag)).status_code == 200
    both = await thing.send("GET", if_match=STALE, if_none_match=thing.tag)
    problem(both, 412, "precondition_failed")
    for change in CHANGES:
        for known in (thing.tag, "*"):
            excluded = await thing.send(*change, if_none_match=known)
            assert "If-None-Match" in problem(excluded, 412, "precondition_failed")["detail"]
    assert (await thing.patch(if_none_match=STALE)).status_code == 200


async def test_the_conditions_of_a_stranger_reveal_no_tag(api: Api) -> None:
    """AZ2: 404 for another owner's item as for an absent one, whatever the condition."""
    thing, stranger = await Thing.create(api, status="active"), await api.register()

    for change in CHANGES:
        for value in (thing.tag, STALE, "*"):
            refused = await thing.send(*change, caller=stranger, if_match=value)
            problem(refused, 404, "not_found")
    assert (await thing.send("GET")).headers["etag"] == thing.tag
    path = f"{ITEMS}/{random_id()}"
    absent = await api.client.get(path, headers={**stranger.headers, "If-Match": "*"})
    problem(absent, 404, "not_found")


async def test_an_account_is_changed_and_deleted_under_the_same_conditions(api: Api) -> None:
    """RC4."""
    user, other = await api.register(), await api.register()
    tag = (await api.me(user.access_token)).headers["etag"]

    async def send(method: str, body: dict[str, str], condition: str) -> Response:
        headers = user.headers | {"If-Match": condition}
        return await api.client.request(method, ME, json=body, headers=headers)

    changed = await send("PATCH", {"full_name": "Ada"}, tag)
    assert changed.status_code == 200
    problem(await send("PATCH", {"full_name": "Eve"}, tag), 412, "precondition_failed")
    problem(await send("DELETE", {"password": PASSWORD}, tag), 412, "precondition_failed")
    read = await api.me(user.access_token)
    assert (read.json()["data"]["full_name"], read.headers["etag"]) == (
        "Ada",
        changed.headers["etag"],
    )
    profile = f"/api/v1/users/{user.public_id}"
    seen = await api.client.get(profile, headers=other.headers)
    # The row is the same, but the public profile has another body and so another tag.
    assert seen.headers["etag"] != read.headers["etag"]
    known = other.headers | {"If-None-Match": seen.headers["etag"]}
    assert (await api.client.get(profile, headers=known)).status_code == 304
    deleted = await send("DELETE", {"password": PASSWORD}, read.headers["etag"])
    assert deleted.status_code == 204


@required
async def test_a_setting_refuses_changes_without_a_condition(api: Api) -> None:
    """RC4: except for creating and restoring, because clients cannot read those tags."""
    thing = await Thing.create(api)
    me = {"full_name": "Ada"}

    problem(await thing.patch(), 428, "precondition_required")
    problem(await thing.send("DELETE"), 428, "precondition_required")
    refused = await api.client.patch(ME, json=me, headers=thing.owner.headers)
    problem(refused, 428, "precondition_required")
    assert (await thing.send("GET")).headers["etag"] == thing.tag

    assert (await thing.patch(if_match="*")).status_code == 200
    assert (await thing.send("DELETE", if_match="*")).status_code == 204
    assert (await thing.send("POST", "/restore")).status_code == 200


@at_once
async def test_one_of_20_concurrent_changes_of_a_version_succeeds(api: Api) -> None:
    """RC4: on both databases, the loser of the race sees the winner's version."""
    thing = await Thing.create(api)

    answers = await asyncio.gather(
        *(
            thing.send("PATCH", "", {"title": f"Change {number}"}, if_match=thing.tag)
            for number in range(20)
        )
    )

    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 19
    [made] = [answer for answer in answers if answer.is_success]
    assert (await thing.send("GET")).json() == made.json()


@at_once
async def test_concurrent_changes_without_a_condition_all_succeed(api: Api) -> None:
    """RC4: they are serialised, and each changes only the fields it sent."""
    thing = await Thing.create(api)
    bodies: list[dict[str, str]] = [{"title": "Last"}, {"description": "Last"}] * 10
    me = {"full_name": "Ada"}

    answers = await asyncio.gather(
        *(thing.send("PATCH", "", body) for body in bodies),
        *(thing._api.client.patch(ME, json=me, headers=thing.owner.headers) for _ in range(5)),
    )

    assert {answer.status_code for answer in answers} == {200}
    item = (await thing.send("GET")).json()["data"]
    assert (item["title"], item["description"]) == ("Last", "Last")


@on_sqlite
def test_the_documentation_has_the_headers_and_their_statuses(app: FastAPI) -> None:
    paths = app.openapi()["paths"]
    one, collection = paths[f"{ITEMS}/{{public_id}}"], paths[ITEMS]
    read, written = {"304", "412"}, {"412", "428"}

    for operation, statuses in ((one["get"], read), (one["patch"], written)):
        names = {p["name"] for p in operation["parameters"] if p["in"] == "header"}
        assert names == {"If-Match", "If-None-Match"}
        assert operation["responses"].keys() & (read | written) == statuses
        assert "ETag" in operation["responses"]["200"]["headers"]
    assert one["delete"]["responses"].keys() & (read | written) == written
    created = collection["post"]["responses"]["201"]["headers"]
    assert created.keys() >= {"ETag", "Location", "Idempotency-Replayed"}


async def test_the_body_is_the_envelope_and_the_tag_is_computed_from_it(api: Api) -> None:
    owner = await api.register()
    created = await api.client.post(ITEMS, json={"title": "Ä <b> \u2028"}, headers=owner.headers)
    path = f"{ITEMS}/{created.json()['data']['public_id']}"
    found = await api.client.get(path, headers=owner.headers)

    envelope = SuccessResponse[ItemResponse].model_validate_json(found.content)
    assert created.content == found.content == envelope.model_dump_json(by_alias=True).encode()
    assert created.headers["ETag"] == found.headers["ETag"] == entity_tag(Row(1), envelope.data)
    assert created.headers["Content-Type"] == found.headers["Content-Type"] == "application/json"
