"""The check of deleted accounts fails if something of the account is left."""

from typing import Any

import pytest
from httpx2 import Response

from examples.catalogue.db.session import Database
from examples.catalogue.tests.api import Api
from mscr.testing.api import Account
from mscr.testing.databases import on_sqlite
from mscr.testing.example_rows import ExampleRows
from mscr.testing.route_checks.deletion import DeletionChecks

pytestmark = on_sqlite


class Keeper(Api):
    """Claims to delete accounts."""

    async def delete_account(self, account: Account) -> Response:
        return Response(204)


class Refuser(Api):
    async def delete_account(self, account: Account) -> Response:
        return Response(409, text="not today")


class Faulty(Api):
    def example_row(self, table: str, values: dict[str, Any]) -> dict[str, Any]:
        return values | {"text": None} if table == "notes" else values


class Unwritten(Api):
    def example_row(self, table: str, values: dict[str, Any]) -> dict[str, Any]:
        return {} if table == "users" else values


check = DeletionChecks().test_a_deleted_account_leaves_no_personal_data


@pytest.fixture
def keeper(api: Api, database: Database) -> Keeper:
    return Keeper(api.client, database)


async def test_what_is_left_is_named(keeper: Keeper, database: Database) -> None:
    with pytest.raises(AssertionError) as failed:
        await check(keeper, database)

    lines = [line.strip() for line in str(failed.value).splitlines()]
    assert lines[0] == "after the deletion of the account:"
    assert {
        "notes has a row of the account",
        "users.full_name has its value",
        "users.affiliation has a text of the account",
        "items.description has a text of the account",
    } <= {*lines}


async def test_a_deletion_that_is_refused_fails(api: Api, database: Database) -> None:
    with pytest.raises(AssertionError, match="the account cannot be deleted: not today"):
        await check(Refuser(api.client, database), database)


async def test_a_row_that_the_database_refuses_names_its_remedy(
    api: Api, database: Database
) -> None:
    with pytest.raises(AssertionError, match=r"notes refuses .*NOT NULL.* `example_row` of your"):
        await check(Faulty(api.client, database), database)


async def test_an_account_without_further_columns_is_checked_too(
    api: Api, database: Database
) -> None:
    account = await api.register()
    rows = ExampleRows(Unwritten(api.client, database), database, account)
    await rows.insert()
    await api.delete_account(account)

    assert await rows.left() == []
