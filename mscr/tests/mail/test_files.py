"""Mails as files, with MAIL_FOLDER."""

import os
import stat
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from fastapi import FastAPI

from examples.catalogue.core.config import Settings
from mscr.mail.file_mailer import FileMailer
from mscr.mail.message import Mail, MailRefusedError
from mscr.testing.databases import on_sqlite
from mscr.testing.mail_registration import LINK
from mscr.tests.mail.api import MailApi

MAIL = Mail("ada@example.com", "Grüße", "Wörter\n", "<p>Wörter</p>")


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(update={"SMTP_URL": None, "MAIL_FOLDER": tmp_path / "new" / "mails"})


def read(file: Path) -> EmailMessage:
    content = file.read_bytes().replace(b"\r\n", b"\n")
    return message_from_bytes(content, _class=EmailMessage, policy=policy.default)


@on_sqlite
async def test_a_registration_is_completed_by_the_link_in_a_file(
    api: MailApi, app: FastAPI, tmp_path: Path
) -> None:
    await api.ask("ada@example.com")
    await app.state.jobs.join()

    [file] = (tmp_path / "new" / "mails").iterdir()
    body = read(file).get_body(("plain",))
    assert body is not None
    [token] = LINK.findall(body.get_content())
    assert (await api.confirm(token)).status_code == 201


async def test_a_file_has_both_parts_for_its_owner_alone(tmp_path: Path) -> None:
    mailer = FileMailer(tmp_path / "mails", sender="no-reply@example.com")
    await mailer.check()
    for _ in range(2):  # attempts
        await mailer.send(MAIL, mail_id="1")

    [file] = (tmp_path / "mails").iterdir()
    message = read(file)
    assert (file.name, stat.S_IMODE(file.stat().st_mode)) == ("1.eml", 0o600)
    assert (message["Subject"], message["Message-ID"]) == ("Grüße", "<1@example.com>")
    parts = [(part.get_content_type(), part.get_content()) for part in message.iter_parts()]
    assert parts == [("text/plain", "Wörter\n"), ("text/html", "<p>Wörter</p>\n")]


async def test_a_mail_that_cannot_be_composed_is_refused_for_good(tmp_path: Path) -> None:
    mailer = FileMailer(tmp_path, sender="no-reply@example.com")

    with pytest.raises(MailRefusedError):
        await mailer.send(Mail("no address", "Hello", "A line\n"), mail_id="1")
    assert os.listdir(tmp_path) == []  # noqa: PTH208  # as in a coroutine


async def test_a_mail_without_html_is_plain_text(tmp_path: Path) -> None:
    mailer = FileMailer(tmp_path, sender="no-reply@example.com")
    await mailer.send(Mail("ada@example.com", "Hello", "A line\n"), mail_id="1")

    assert read(tmp_path / "1.eml").get_content_type() == "text/plain"
