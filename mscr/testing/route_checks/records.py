"""Checks of the record of all routes."""

import pytest
from fastapi import FastAPI

from mscr.project import Project
from mscr.testing.objects import REMEDY
from mscr.testing.recorded_routes import COMMAND, RecordFile, observed
from mscr.testing.route_checks.fixtures import OF_ALL_ROUTES, Crawled
from mscr.testing.routes import routes_of
from mscr.testing.statement_runs import StatementRun

FILE = "tests/recorded_routes.toml"
OPTION = "--record-routes"


@OF_ALL_ROUTES
class RecordChecks:
    """Names, statements and access of all routes are as recorded, and lists have no N+1."""

    def test_routes_are_as_recorded(
        self,
        request: pytest.FixtureRequest,
        tested_project: Project,
        app: FastAPI,
        statements: StatementRun,
        crawled: Crawled,
    ) -> None:
        """AZ1: a changed or new route fails here, until its line is in the file.

        The statements are counted first, on an empty database: the accounts of the crawl would make
        the list of accounts longer than a page, which costs a statement more.
        """
        accepted = {
            answer.route: answer.response.status_code
            for answer in crawled.answers
            if answer.caller == "administrator" and answer.response.is_success
        }
        uncounted = [
            f"{route}: {statements.refused[route]}: an administrator got {status} before, so its "
            f"statements must be counted; {REMEDY}"
            for route, status in accepted.items()
            if route in statements.refused
        ]
        assert not uncounted, "\n".join(uncounted)
        record = observed(routes_of(app), crawled.answers, statements.recorded)
        file = RecordFile(tested_project.root / FILE)
        if request.config.getoption(OPTION):
            file.write(record)

        differences = "\n".join(file.differences(record))
        assert not differences, f"{FILE} differs; to accept it: {COMMAND}\n{differences}"

    def test_no_route_executes_a_statement_for_each_row(self, statements: StatementRun) -> None:
        """N+1: slow as soon as there are rows."""
        assert statements.growing() == []
