"""The two mails about a registration.

Warning: never include the name, or any other input except the address. Otherwise an attacker who
registers the address of another person decides what that person reads.
"""

from typing import Final

from mscr.core.config import Settings
from mscr.mail.message import Mail

# The page of the front end that sends the token to the API. The token is in the fragment, which
# browsers do not send: a query would appear in logs and Referer headers (ASVS v14.2.1).
LINK: Final = "{public_url}/confirm-registration#token={token}"

CONFIRM: Final = """\
Hello,

somebody, hopefully you, asked for an account at {app_name} with this address. If it was you, open
this link within {minutes} minutes, and then log in with the password that you chose:

{link}

If it was not you, do not open it: without the link there will be no account.
"""

TAKEN: Final = """\
Hello,

somebody tried to register at {app_name} with this address, which has an account already. Nothing
about the account has changed.

If it was you, log in with your password. If it was not, you need not do anything.
"""


class RegistrationMails:
    def __init__(self, settings: Settings) -> None:
        self._app_name = settings.APP_NAME
        self._public_url = settings.public_url
        self._lifetime = settings.registration_link_lifetime

    def link(self, recipient: str, token: str) -> Mail:
        """Return the mail with the link that creates the account."""
        link = LINK.format(public_url=self._public_url, token=token)
        minutes = int(self._lifetime.total_seconds() // 60)
        text = CONFIRM.format(app_name=self._app_name, minutes=minutes, link=link)
        return Mail(recipient, f"Confirm your registration at {self._app_name}", text)

    def taken(self, recipient: str) -> Mail:
        """Return the notice that somebody tried to register this address. It contains no link."""
        text = TAKEN.format(app_name=self._app_name)
        return Mail(recipient, f"You have an account at {self._app_name}", text)
