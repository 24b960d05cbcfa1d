"""One session from registration to logout. `mscr/tests/auth/` covers every case."""

from examples.catalogue.tests.api import Api
from mscr.testing.api import PASSWORD


async def test_register_success(api: Api) -> None:
    body = {"email": "ada@example.com", "password": PASSWORD}

    response = await api.client.post("/api/v1/auth/register", json=body)

    assert response.status_code == 201
    assert response.json()["success"] is True
    assert response.json()["data"].keys() == {
        "access_token",
        "refresh_token",
        "token_type",
        "expires_in",
    }


async def test_login_success(api: Api) -> None:
    account = await api.register("ada@example.com")

    response = await api.try_login("ada@example.com", PASSWORD)

    tokens = response.json()["data"]
    assert response.status_code == 200
    assert tokens["token_type"] == "bearer"
    assert tokens["expires_in"] == 15 * 60
    me = await api.me(tokens["access_token"])
    assert me.json()["data"]["public_id"] == account.public_id


async def test_refresh_success(api: Api) -> None:
    account = await api.register()

    response = await api.refresh(account.refresh_token)

    tokens = response.json()["data"]
    assert response.status_code == 200
    assert tokens["refresh_token"] != account.refresh_token
    assert (await api.me(tokens["access_token"])).status_code == 200


async def test_logout_success(api: Api) -> None:
    account = await api.register()
    body = {"refresh_token": account.refresh_token}

    response = await api.client.post("/api/v1/auth/logout", json=body)

    assert response.status_code == 204
    assert (await api.me(account.access_token)).status_code == 401
    assert (await api.refresh(account.refresh_token)).status_code == 401
