"""The steps of the tests, where accounts are registered by mail."""

from mscr.testing.mail_registration import MailApi as KitMailApi
from tests.support.api import Api


class MailApi(KitMailApi, Api): ...
