"""Items over HTTP: who sees what, who may change what, and how lists page."""

from tests.support.api import Api


async def test_creating_an_item_returns_it_with_its_owner_and_no_integer_id(api: Api) -> None:
    owner = await api.register()

    item = await api.create_item(owner, title="Milk", description="2 l")

    assert item["title"] == "Milk"
    assert item["status"] == "draft"
    assert item["owner_public_id"] == owner.public_id
    assert "id" not in item
    assert "owner_id" not in item


async def test_a_draft_is_invisible_to_others(api: Api) -> None:
    owner, other = await api.register(), await api.register()
    item = await api.create_item(owner)

    response = await api.client.get(f"/api/v1/items/{item['public_id']}", headers=other.headers)

    assert response.status_code == 404
    assert response.json()["code"] == "not_found"
