"""Diagnose failures of a mail server, by the class of the client's error.

The server's message is left out: it may contain email addresses.
"""

from typing import Final

from mscr.connections.diagnosis.types import Diagnosis, Rule, Service, apply_rules

_RULES: Final[tuple[Rule, ...]] = (
    (
        "SMTPAuthenticationError",
        "",
        "the server refused user and password",
        "correct them in {setting}",
    ),
    ("SMTPException", "starttls", "the server does not offer STARTTLS", "{tls}"),
    (
        "SMTPException",
        "auth",
        "the server does not accept user and password",
        "remove them in {setting}",
    ),
    ("SMTPSenderRefused", "", "the server refused the sender", "correct the sender's address"),
    ("SMTPRecipient", "", "the server refused the recipient", "see the server's log"),
    ("SMTPData", "", "the server refused the mail", "see the server's log"),
    (
        "SMTPServerDisconnected",
        "",
        "the server closed the connection",
        "check the port in {setting}; {tls}",
    ),
    ("SMTPResponse", "", "the server refused the mail", "see the server's log"),
)


def diagnose_smtp(error: BaseException, service: Service) -> Diagnosis | None:
    if type(error).__module__.partition(".")[0] != "aiosmtplib":
        return None
    return apply_rules(_RULES, type(error).__name__, str(error), service)
