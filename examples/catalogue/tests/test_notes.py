"""A plain resource: five verbs, by the base classes alone."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from examples.catalogue.db.session import Database
from examples.catalogue.models import Note
from examples.catalogue.tests.api import Api
from mscr.testing.api import Account
from mscr.testing.problems import problem
from mscr.testing.statements import StatementCounter

NOTES = "/api/v1/notes"


async def create(api: Api, owner: Account, text: str = "Buy milk", **headers: str) -> Any:
    response = await api.client.post(
        NOTES, json={"text": text}, headers={**owner.headers, **headers}
    )
    assert response.status_code == 201, response.text
    return response


async def test_a_note_is_read_and_changed_as_it_was_created(api: Api) -> None:
    owner = await api.register()
    created = await create(api, owner)
    path = created.headers["location"]

    got = await api.client.get(path, headers=owner.headers)
    changed = await api.client.patch(path, json={"text": "Buy oats"}, headers=owner.headers)
    again = await api.client.get(path, headers=owner.headers)

    assert (got.json(), got.headers["etag"]) == (created.json(), created.headers["etag"])
    assert changed.json()["data"]["text"] == "Buy oats"
    assert (again.json(), again.headers["etag"]) == (changed.json(), changed.headers["etag"])
    assert changed.headers["etag"] != created.headers["etag"]


async def test_a_change_without_fields_changes_nothing(api: Api) -> None:
    owner = await api.register()
    created = await create(api, owner)

    changed = await api.client.patch(created.headers["location"], json={}, headers=owner.headers)

    assert (changed.status_code, changed.json()["data"]) == (200, created.json()["data"])


async def test_a_note_is_its_owners_alone(api: Api) -> None:
    owner, other = await api.register(), await api.register()
    administrator = await api.register_admin()
    path = (await create(api, owner)).headers["location"]

    for caller in (other, administrator):
        problem(await api.client.get(path, headers=caller.headers), 404, "not_found")
        problem(await api.client.delete(path, headers=caller.headers), 404, "not_found")
        change = await api.client.patch(path, json={"text": "Mine"}, headers=caller.headers)
        problem(change, 404, "not_found")
        listed = await api.client.get(NOTES, headers=caller.headers)
        assert listed.json()["data"] == []
    problem(await api.client.get(path), 401, "unauthorized")


async def test_a_list_has_pages_and_cursors_of_the_callers_own(api: Api) -> None:
    owner, other = await api.register(), await api.register()
    for text in ("first", "second", "third"):
        await create(api, owner, text)

    page = await api.client.get(f"{NOTES}?per_page=2&page=2", headers=owner.headers)
    assert [note["text"] for note in page.json()["data"]] == ["first"]
    assert page.json()["meta"]["total"] == 3

    begun = await api.client.get(f"{NOTES}?limit=2", headers=owner.headers)
    rest = {"limit": 2, "cursor": begun.json()["meta"]["next_cursor"]}
    following = await api.client.get(NOTES, params=rest, headers=owner.headers)
    assert [note["text"] for note in following.json()["data"]] == ["first"]
    stolen = await api.client.get(NOTES, params=rest, headers=other.headers)
    problem(stolen, 422, "invalid_cursor")


async def test_a_deleted_note_is_gone(api: Api, database: Database) -> None:
    owner = await api.register()
    path = (await create(api, owner)).headers["location"]

    assert (await api.client.delete(path, headers=owner.headers)).status_code == 204

    problem(await api.client.get(path, headers=owner.headers), 404, "not_found")
    problem(await api.client.delete(path, headers=owner.headers), 404, "not_found")
    async with database.read_sessions() as session:
        assert (await session.scalars(select(Note.is_deleted))).all() == [True]


async def test_a_version_that_the_client_has_is_not_sent_and_not_overwritten(api: Api) -> None:
    owner = await api.register()
    created = await create(api, owner)
    path, tag = created.headers["location"], created.headers["etag"]
    known, expected = {"If-None-Match": tag}, {"If-Match": tag}
    body = {"text": "Buy oats"}

    unchanged = await api.client.get(path, headers=owner.headers | known)
    first = await api.client.patch(path, json=body, headers=owner.headers | expected)
    late = await api.client.patch(path, json=body, headers=owner.headers | expected)
    removed = await api.client.delete(path, headers=owner.headers | expected)

    assert (unchanged.status_code, unchanged.headers["etag"]) == (304, tag)
    assert first.status_code == 200
    problem(late, 412, "precondition_failed")
    problem(removed, 412, "precondition_failed")


async def test_one_of_several_concurrent_changes_of_a_version_succeeds(api: Api) -> None:
    owner = await api.register()
    created = await create(api, owner)
    path, tag = created.headers["location"], created.headers["etag"]

    responses = await asyncio.gather(
        *(
            api.client.patch(path, json={"text": str(n)}, headers=owner.headers | {"If-Match": tag})
            for n in range(5)
        )
    )

    assert sorted(each.status_code for each in responses) == [200, 412, 412, 412, 412]


async def test_a_repeated_request_with_a_key_creates_one_note(api: Api) -> None:
    owner = await api.register()
    key = {"Idempotency-Key": "e7a9c1d2"}

    first = await create(api, owner, **key)
    again = await create(api, owner, **key)
    other = await api.client.post(NOTES, json={"text": "Other"}, headers=owner.headers | key)

    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])
    assert again.headers["idempotency-replayed"] == "true"
    problem(other, 422, "idempotency_key_reused")
    listed = await api.client.get(NOTES, headers=owner.headers)
    assert listed.json()["meta"]["total"] == 1


@pytest.mark.parametrize("key", ["", "x" * 300, "white space"])
async def test_a_malformed_key_is_refused_and_creates_nothing(api: Api, key: str) -> None:
    owner = await api.register()
    headers = owner.headers | {"Idempotency-Key": key}

    response = await api.client.post(NOTES, json={"text": "Buy milk"}, headers=headers)

    errors = problem(response, 422, "validation_failed")["errors"]
    assert [error["loc"] for error in errors] == [["header", "Idempotency-Key"]]
    listed = await api.client.get(NOTES, headers=owner.headers)
    assert listed.json()["meta"]["total"] == 0


async def test_several_keys_are_refused(api: Api) -> None:
    owner = await api.register()
    keys = [("Idempotency-Key", "one"), ("Idempotency-Key", "two")]

    response = await api.client.post(
        NOTES, json={"text": "Buy milk"}, headers=[*owner.headers.items(), *keys]
    )

    problem(response, 422, "validation_failed")


async def test_each_verb_takes_few_statements(api: Api, queries: StatementCounter) -> None:
    owner = await api.register()
    # The look-up of the session is one of them.
    with queries.at_most(2):
        path = (await create(api, owner)).headers["location"]
    with queries.at_most(2):
        await api.client.get(path, headers=owner.headers)
    with queries.at_most(3):
        await api.client.get(NOTES, headers=owner.headers)
    with queries.at_most(3):
        await api.client.patch(path, json={"text": "Buy oats"}, headers=owner.headers)
    with queries.at_most(3):
        await api.client.delete(path, headers=owner.headers)
