"""All routes: who may call them, what they respond, and their line in `recorded_routes.toml`."""

from mscr.testing.route_checks.access import AccessChecks
from mscr.testing.route_checks.answers import AnswerChecks
from mscr.testing.route_checks.deletion import DeletionChecks
from mscr.testing.route_checks.records import RecordChecks


class TestAccess(AccessChecks): ...


class TestAnswers(AnswerChecks): ...


class TestRecord(RecordChecks): ...


class TestDeletion(DeletionChecks): ...
