"""The two mails about a registration.

Neither has the name, nor anything else that was typed beside the address: whoever registers an
address of somebody else must not decide what that person reads.
"""

from datetime import timedelta
from typing import Final

from app.mail.message import Mail

# The page of the front end that sends the token to the API. In the fragment, which browsers keep to
# themselves: a query would be in logs and Referer headers (ASVS v14.2.1).
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

If it was you, log in with the password that you have. If it was not, there is nothing to do.
"""


def link_mail(
    recipient: str, token: str, *, app_name: str, public_url: str, lifetime: timedelta
) -> Mail:
    """The mail with the link that makes the account."""
    link = LINK.format(public_url=public_url, token=token)
    minutes = int(lifetime.total_seconds() // 60)
    text = CONFIRM.format(app_name=app_name, minutes=minutes, link=link)
    return Mail(recipient, f"Confirm your registration at {app_name}", text)


def taken_mail(recipient: str, *, app_name: str) -> Mail:
    """Tells the owner of an account that somebody tried its address. Nothing in it acts."""
    text = TAKEN.format(app_name=app_name)
    return Mail(recipient, f"You have an account at {app_name}", text)
