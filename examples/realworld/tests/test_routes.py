"""All routes: who may call them, what they respond, and their line in `recorded_routes.toml`.

To write that file: `pytest examples/realworld/tests/test_routes.py -k "as_recorded and sqlite"
--record-routes`.
"""

from mscr.testing.route_checks.access import AccessChecks
from mscr.testing.route_checks.answers import AnswerChecks
from mscr.testing.route_checks.bodies import BodyChecks, BodyLimitChecks
from mscr.testing.route_checks.client_documents import ClientDocumentChecks
from mscr.testing.route_checks.documents import DocumentChecks
from mscr.testing.route_checks.errors import ErrorChecks
from mscr.testing.route_checks.records import RecordChecks


class TestAccess(AccessChecks): ...


class TestAnswers(AnswerChecks): ...


class TestRecord(RecordChecks): ...


class TestBodies(BodyChecks): ...


class TestBodyLimit(BodyLimitChecks): ...


class TestErrors(ErrorChecks): ...


class TestDocument(DocumentChecks): ...


class TestDocumentForClients(ClientDocumentChecks): ...
