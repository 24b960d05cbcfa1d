"""The steps of the tests, where accounts are registered by mail."""

from examples.catalogue.tests.api import Api
from mscr.testing.mail_registration import MailApi as KitMailApi


class MailApi(KitMailApi, Api): ...
