"""Items: tags, search, deleted rows and restore."""

from examples.catalogue.tests.api import Api
from mscr.testing.problems import problem


async def test_an_item_creates_its_tags_and_is_found_by_them(api: Api) -> None:
    owner = await api.register()
    await api.create_item(owner, title="Hammer", tags=["Tools", "Iron"])
    await api.create_item(owner, title="Apple", tags=["Food"])
    listed = await api.client.get("/api/v1/tags", headers=owner.headers)
    tools = {tag["name"]: tag["public_id"] for tag in listed.json()["data"]}["Tools"]

    assert [(tag["name"], tag["item_count"]) for tag in listed.json()["data"]] == [
        ("Food", 1),
        ("Iron", 1),
        ("Tools", 1),
    ]
    assert await api.titles(f"?tag={tools}", owner) == ["Hammer"]


async def test_a_renamed_tag_is_renamed_on_its_items_and_a_deleted_one_is_gone(api: Api) -> None:
    owner = await api.register()
    item = await api.create_item(owner, tags=["old"])
    tag, path = f"/api/v1/tags/{item['tags'][0]['public_id']}", f"/api/v1/items/{item['public_id']}"

    renamed = await api.client.patch(tag, json={"name": "new"}, headers=owner.headers)
    shown = (await api.client.get(path, headers=owner.headers)).json()["data"]["tags"]
    deleted = await api.client.delete(tag, headers=owner.headers)

    assert (renamed.status_code, deleted.status_code) == (200, 204)
    assert [each["name"] for each in shown] == ["new"]
    assert (await api.client.get(path, headers=owner.headers)).json()["data"]["tags"] == []


async def test_a_tag_name_that_differs_in_case_only_is_taken(api: Api) -> None:
    owner = await api.register()
    await api.client.post("/api/v1/tags", json={"name": "Home"}, headers=owner.headers)

    second = await api.client.post("/api/v1/tags", json={"name": "hOME"}, headers=owner.headers)

    problem(second, 409, "tag_name_taken")


async def test_a_tag_of_another_owner_does_not_exist(api: Api) -> None:
    owner, other = await api.register(), await api.register()
    item = await api.create_item(owner, tags=["mine"])
    path = f"/api/v1/tags/{item['tags'][0]['public_id']}"

    problem(await api.client.get(path, headers=other.headers), 404, "not_found")


async def test_a_search_ranks_the_title_above_the_description(api: Api) -> None:
    owner = await api.register()
    await api.create_item(owner, title="Tools", description="A hammer, and nails")
    await api.create_item(owner, title="Hammer")
    await api.create_item(owner, title="Apple")

    assert await api.titles("/search?q=hamm", owner) == ["Hammer", "Tools"]


async def test_a_draft_is_its_owners_until_it_is_published(api: Api) -> None:
    owner, other = await api.register(), await api.register()
    item = await api.create_item(owner, title="Hammer")
    path = f"/api/v1/items/{item['public_id']}"
    before = await api.titles("", other)

    await api.client.patch(path, json={"status": "active"}, headers=owner.headers)

    assert before == []
    assert await api.titles("", other) == ["Hammer"]
    refused = await api.client.patch(path, json={"title": "Mine"}, headers=other.headers)
    problem(refused, 404, "not_found")


async def test_a_deleted_item_is_listed_and_restored_with_its_tags(api: Api) -> None:
    owner, other, admin = await api.register(), await api.register(), await api.register_admin()
    item = await api.create_item(owner, title="Hammer", tags=["Tools"])
    path = f"/api/v1/items/{item['public_id']}"
    await api.client.delete(path, headers=owner.headers)

    assert await api.titles("/my", owner) == []
    assert await api.titles("/deleted", owner) == ["Hammer"]
    assert await api.titles("/deleted", other) == []
    assert await api.titles("/deleted", admin) == ["Hammer"]
    refused = await api.client.post(f"{path}/restore", headers=other.headers)
    problem(refused, 404, "not_found")

    restored = await api.client.post(f"{path}/restore", headers=owner.headers)

    assert [tag["name"] for tag in restored.json()["data"]["tags"]] == ["Tools"]
    assert await api.titles("/my", owner) == ["Hammer"]
    assert await api.titles("/deleted", owner) == []


async def test_a_change_of_an_outdated_item_is_refused(api: Api) -> None:
    owner = await api.register()
    item = await api.create_item(owner)
    path = f"/api/v1/items/{item['public_id']}"
    etag = (await api.client.get(path, headers=owner.headers)).headers["etag"]
    headers = {**owner.headers, "If-Match": etag}

    first = await api.client.patch(path, json={"tags": ["new"]}, headers=headers)
    second = await api.client.patch(path, json={"title": "Lost"}, headers=headers)

    assert first.status_code == 200
    problem(second, 412, "precondition_failed")


async def test_a_repeated_create_gets_the_first_response(api: Api) -> None:
    owner = await api.register()
    headers = {**owner.headers, "Idempotency-Key": "once"}
    body = {"title": "Hammer", "tags": ["Tools"]}

    first = await api.client.post("/api/v1/items", json=body, headers=headers)
    second = await api.client.post("/api/v1/items", json=body, headers=headers)

    assert first.status_code == second.status_code == 201
    assert first.json()["data"] == second.json()["data"]
    assert await api.titles("/my", owner) == ["Hammer"]
