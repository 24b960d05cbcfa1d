"""The words of mails."""

from app.core.config import Settings
from mscr.mail.templates import MailTemplates


def test_every_mail_can_be_rendered_with_its_example_values(settings: Settings) -> None:
    assert MailTemplates.of(settings).faults() == {}
