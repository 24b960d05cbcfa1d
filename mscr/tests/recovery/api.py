"""The steps of the tests, with a mailbox."""

from examples.catalogue.tests.api import Api
from mscr.testing.recovery import RecoveryApi


class CatalogueApi(RecoveryApi, Api): ...
