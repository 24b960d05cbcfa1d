"""Accounts have a column of the catalogue's own."""

from examples.catalogue.db.session import Database
from examples.catalogue.tests.api import Api
from mscr.testing.api import PASSWORD, account_of
from mscr.testing.problems import problem
from mscr.testing.table_rows import all_rows

BODY = {"email": "leaver@example.com", "password": PASSWORD, "affiliation": "City Library"}


async def test_a_registration_stores_the_column_of_the_catalogues_own(api: Api) -> None:
    registered = await api.client.post("/api/v1/auth/register", json=BODY)

    me = await api.me(registered.json()["data"]["access_token"])

    assert registered.status_code == 201
    assert me.json()["data"]["affiliation"] == "City Library"
    assert me.json()["data"]["role"] == "user"


async def test_a_password_must_not_consist_of_the_affiliation(api: Api) -> None:
    body = {**BODY, "password": "citylibrary!"}

    refused = problem(
        await api.client.post("/api/v1/auth/register", json=body), 422, "validation_failed"
    )

    assert refused["errors"][0]["type"] == "password_guessable"


async def test_a_deletion_erases_the_affiliation(api: Api, database: Database) -> None:
    registered = await api.client.post("/api/v1/auth/register", json=BODY)
    leaver = account_of(BODY["email"], PASSWORD, registered)
    before = str(await all_rows(database))

    deleted = await api.delete_account(leaver)

    assert deleted.status_code == 204
    assert "City Library" in before
    assert "City Library" not in str(await all_rows(database))
