"""Checks that the deletion of an account leaves no personal data, in any table."""

from mscr.db.session import Database
from mscr.models.account_rows import AccountRows
from mscr.project import Project
from mscr.testing.api import Api
from mscr.testing.example_rows import ExampleRows


class DeletionChecks:
    """The deletion of an account erases or deletes what belongs to it (docs/users.md)."""

    def test_the_deletion_of_an_account_reaches_every_table(self, tested_project: Project) -> None:
        """Columns are declared, and no foreign key prevents it."""
        faults = [*AccountRows(tested_project.tables()).faults()]

        assert not faults, "\n".join(faults)

    async def test_a_deleted_account_leaves_no_personal_data(
        self, api: Api, database: Database
    ) -> None:
        """An account with a row in each of its tables: no table has their texts afterwards."""
        account = await api.register()
        rows = ExampleRows(api, database, account)
        await rows.insert()
        before = await rows.left()
        response = await api.delete_account(account)
        assert response.is_success, f"the account cannot be deleted: {response.text}"

        left = await rows.left()
        assert before
        assert not left, "after the deletion of the account:\n" + "\n".join(left)
