"""The contract of RealWorld: envelopes, errors, tokens, paging and ids."""

from typing import Any

import pytest

from examples.realworld.tests.api import Api
from mscr.testing.api import Account
from mscr.testing.problems import assert_unauthorized, problem

ARTICLE = {"title": "Über Dragons!", "description": "How?", "body": "Try.", "tagList": ["b", "a"]}


async def publish(api: Api, author: Account, **values: Any) -> dict[str, Any]:
    body = {"article": {**ARTICLE, **values}}
    response = await api.client.post("/api/articles", json=body, headers=author.headers)
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()["article"]
    return created


async def test_a_user_registers_logs_in_and_changes_the_account(api: Api) -> None:
    account = await api.register("Ada@example.com")
    again = await api.login(account)
    change = {"user": {"email": "new@example.com", "bio": "I count.", "username": "ada"}}
    changed = await api.client.put("/api/user", json=change, headers=account.headers)
    read = await api.client.get("/api/user", headers=again.headers)

    user = {"email": "new@example.com", "username": "ada", "bio": "I count.", "image": None}
    assert changed.json() == {"user": {**user, "token": account.access_token}}
    assert read.json() == {"user": {**user, "token": again.access_token}}
    assert (await api.try_login("new@example.com", account.password)).status_code == 200


async def test_taken_names_and_addresses_are_refused(api: Api) -> None:
    first, second = await api.register(), await api.register()
    name = (await api.me(first.access_token)).json()["user"]["username"]
    new = {"username": name, "email": "other@example.com", "password": first.password}
    named = {"user": {"username": name}}
    refused = [
        await api.client.post("/api/users", json={"user": new}),
        await api.client.put("/api/user", json=named, headers=second.headers),
    ]
    taken = {"user": {"email": first.email}}
    address = await api.client.put("/api/user", json=taken, headers=second.headers)

    for response in refused:
        problem(response, 409, "username_taken")
        assert response.json() == {"errors": {"body": ["A user with this name already exists."]}}
    problem(address, 409, "email_taken")
    assert (await api.me(second.access_token)).json()["user"]["email"] == second.email


async def test_an_article_is_everyones_to_read_and_its_authors_to_change(api: Api) -> None:
    author, other = await api.register(), await api.register()
    created = await publish(api, author)
    path = f"/api/articles/{created['slug']}"

    assert created["slug"].startswith("ber-dragons-")
    assert created["tagList"] == ["a", "b"]
    assert created["author"]["following"] is False
    assert (await api.client.get(path)).json() == {"article": created}
    for method in ("PUT", "DELETE"):
        body = {"article": {"body": "Mine."}}
        refused = await api.client.request(method, path, json=body, headers=other.headers)
        problem(refused, 403, "forbidden")
    body = {"article": {"title": "New", "body": "Changed."}}
    changed = await api.client.put(path, json=body, headers=author.headers)
    assert changed.json()["article"]["body"] == "Changed."
    assert changed.json()["article"]["slug"].startswith("new-")
    problem(await api.client.get(path), 404, "not_found")
    path = f"/api/articles/{changed.json()['article']['slug']}"
    assert (await api.client.delete(path, headers=author.headers)).status_code == 204
    problem(await api.client.get(path), 404, "not_found")
    problem(await api.client.delete(path, headers=author.headers), 404, "not_found")


async def test_lists_take_limit_offset_and_filters(api: Api) -> None:
    author, other = await api.register(), await api.register()
    slugs = [(await publish(api, author, tagList=[f"t{n}"]))["slug"] for n in range(5)]
    await publish(api, other, tagList=["t1"])
    name = (await api.me(author.access_token)).json()["user"]["username"]

    async def listed(**query: Any) -> tuple[list[str], int]:
        body = (await api.client.get("/api/articles", params=query)).json()
        return [article["slug"] for article in body["articles"]], body["articlesCount"]

    assert await listed(author=name, limit=2, offset=1) == ([slugs[3], slugs[2]], 5)
    assert await listed(author=name, limit=2, offset=4) == ([slugs[0]], 5)
    assert await listed(author=name, tag="t1") == ([slugs[1]], 1)
    assert await listed(author="nobody") == ([], 0)
    assert (await listed(tag="t1"))[1] == 2
    assert (await listed(offset=6)) == ([], 6)


async def test_a_comment_has_an_integer_id_and_is_its_authors_to_delete(api: Api) -> None:
    author, other = await api.register(), await api.register()
    path = f"/api/articles/{(await publish(api, author))['slug']}/comments"
    body = {"comment": {"body": "Thanks."}}
    created = await api.client.post(path, json=body, headers=other.headers)
    comment = created.json()["comment"]

    assert isinstance(comment["id"], int)
    assert (await api.client.get(path)).json() == {"comments": [comment]}
    mine = f"{path}/{comment['id']}"
    problem(await api.client.delete(mine, headers=author.headers), 403, "forbidden")
    assert (await api.client.delete(mine, headers=other.headers)).status_code == 204
    problem(await api.client.delete(mine, headers=other.headers), 404, "not_found")
    assert (await api.client.get(path)).json() == {"comments": []}


@pytest.mark.settings(RATE_LIMIT_ENABLED=True, AUTH_RATE_LIMIT_ACCOUNT="1/minute")
async def test_every_refusal_has_the_shape_of_the_contract(api: Api) -> None:
    account = await api.register()
    bearer = {"Authorization": f"Bearer {account.access_token}"}
    login = {"user": {"email": "nobody@example.com", "password": "wrong password"}}
    large = {"Content-Length": "100000000"}
    text = {"Content-Type": "text/plain"}
    found = {
        "unauthorized": await api.client.get("/api/user", headers=bearer),
        "not_found": await api.client.get("/api/nothing"),
        "method_not_allowed": await api.client.patch("/api/user"),
        "payload_too_large": await api.client.post("/api/users", headers=large),
        "unsupported_media_type": await api.client.post("/api/users", content=b"a", headers=text),
        "validation_failed": await api.client.post("/api/users", json={}),
        "invalid_credentials": await api.client.post("/api/users/login", json=login),
        "too_many_requests": await api.client.post("/api/users/login", json=login),
    }

    for code, response in found.items():
        problem(response, response.status_code, code)
        assert response.headers["content-type"] == "application/json"
        assert response.json().keys() == {"errors"}
        assert response.json()["errors"].keys() == {"body"}
    assert found["validation_failed"].json() == {"errors": {"body": ["user: Field required"]}}
    assert found["unauthorized"].headers["www-authenticate"] == "Token"
    assert_unauthorized(await api.client.get("/api/user", headers=api.authorization("e30.e30.a")))
    assert (await api.client.get("/health/nothing")).json()["code"] == "not_found"


async def test_a_fault_has_the_name_of_its_field(api: Api) -> None:
    author = await api.register()
    json_type = {"Content-Type": "application/json"}
    broken = await api.client.post("/api/users", content=b'{"user":', headers=json_type)
    tags = {"article": {**ARTICLE, "tagList": ["a", ""]}}
    listed = await api.client.post("/api/articles", json=tags, headers=author.headers)

    texts = [response.json()["errors"]["body"] for response in (broken, listed)]
    assert texts == [
        ["body: The body is not valid JSON, in UTF-8"],
        ["tagList: String should have at least 1 character"],
    ]
