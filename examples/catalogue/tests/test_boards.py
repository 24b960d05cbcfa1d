"""Boards: members read them, their owners change them."""

from typing import Final

from httpx2 import Response
from sqlalchemy import select

from examples.catalogue.db.session import Database
from examples.catalogue.models.board import BoardMember
from examples.catalogue.tests.api import Api
from mscr.testing.api import Account
from mscr.testing.problems import problem

BOARDS: Final = "/api/v1/boards"


async def create(api: Api, owner: Account, *members: Account) -> str:
    body = {"name": "Household"}
    created = await api.client.post(BOARDS, json=body, headers=owner.headers)
    path: str = created.headers["location"]
    for member in members:
        assert (await add(api, path, owner, member.public_id)).status_code == 200
    return path


async def add(api: Api, path: str, owner: Account, public_id: str) -> Response:
    return await api.client.put(f"{path}/members/{public_id}", headers=owner.headers)


async def listed(api: Api, caller: Account) -> int:
    response = await api.client.get(BOARDS, headers=caller.headers)
    return len(response.json()["data"])


async def test_members_read_a_board_and_its_owner_changes_it(api: Api) -> None:
    owner, member, other = await api.register(), await api.register(), await api.register()
    path = await create(api, owner, member)

    read = await api.client.get(path, headers=member.headers)
    assert read.json()["data"]["members"] == [{"public_id": member.public_id}]
    assert [await listed(api, each) for each in (owner, member, other)] == [1, 1, 0]
    problem(await api.client.get(path, headers=other.headers), 404, "not_found")
    for caller in (member, other):
        change = await api.client.patch(path, json={"name": "Mine"}, headers=caller.headers)
        problem(change, 404, "not_found")
        problem(await add(api, path, caller, other.public_id), 404, "not_found")
        problem(await api.client.delete(path, headers=caller.headers), 404, "not_found")


async def test_a_member_is_added_once_and_removed_at_once(api: Api) -> None:
    owner, member = await api.register(), await api.register()
    path = await create(api, owner, member, member, owner)
    gone = f"{path}/members/{member.public_id}"

    assert await listed(api, owner) == 1
    tag = (await api.client.get(path, headers=owner.headers)).headers["etag"]
    assert (await api.client.delete(gone, headers=owner.headers)).status_code == 204
    problem(await api.client.get(path, headers=member.headers), 404, "not_found")
    assert (await api.client.delete(gone, headers=owner.headers)).status_code == 204
    assert (await api.client.get(path, headers=owner.headers)).headers["etag"] != tag
    await add(api, path, owner, member.public_id)
    assert (await api.client.get(path, headers=member.headers)).status_code == 200


async def test_an_unknown_user_is_not_found(api: Api) -> None:
    owner = await api.register()
    path = await create(api, owner)
    unknown = "01890a5d-ac96-774b-bcce-b302099a8057"

    problem(await add(api, path, owner, unknown), 404, "not_found")
    removed = await api.client.delete(f"{path}/members/{unknown}", headers=owner.headers)
    assert removed.status_code == 204


async def test_memberships_end_with_the_account_of_the_boards_owner(
    api: Api, database: Database
) -> None:
    owner, member = await api.register(), await api.register()
    path = await create(api, owner, member)

    assert (await api.delete_account(owner)).status_code == 204

    problem(await api.client.get(path, headers=member.headers), 404, "not_found")
    async with database.read_sessions() as session:
        assert (await session.scalars(select(BoardMember))).all() == []


async def test_a_deleted_account_is_no_member_any_more(api: Api) -> None:
    owner, member = await api.register(), await api.register()
    path = await create(api, owner, member)

    await api.delete_account(member)

    read = await api.client.get(path, headers=owner.headers)
    assert read.json()["data"]["members"] == []
