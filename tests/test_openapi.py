"""OpenAPI documents every route, and every route refuses what it does not document."""

from mscr.testing.route_checks.bodies import BodyChecks
from mscr.testing.route_checks.client_documents import ClientDocumentChecks
from mscr.testing.route_checks.documents import DocumentChecks


class TestBodies(BodyChecks): ...


class TestDocument(DocumentChecks): ...


class TestDocumentForClients(ClientDocumentChecks): ...
