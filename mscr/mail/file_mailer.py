"""Mails as files, for development."""

import asyncio
import os
from pathlib import Path
from typing import Final

from mscr.mail.composition import compose, deliverable
from mscr.mail.message import Mail, MailRefusedError

# The files hold links with tokens.
_OWNER_ONLY: Final = 0o600


class FileMailer:
    """Writes each mail to a file, which mail programs open."""

    def __init__(self, folder: Path, *, sender: str) -> None:
        self._folder = folder
        self._sender = deliverable(sender)

    async def check(self) -> None:
        """Make the folder. Raises `OSError` if no file can be written to it."""
        await asyncio.to_thread(self._write, ".check", b"")
        await asyncio.to_thread((self._folder / ".check").unlink)

    async def send(self, mail: Mail, *, mail_id: str) -> None:
        """Raises `MailRefusedError` and `OSError`."""
        try:
            message = compose(mail, self._sender, mail_id=mail_id)
        except ValueError as error:
            raise MailRefusedError from error
        # The id begins with the time (UUIDv7): the newest file is the last one. At another attempt,
        # the file is written again.
        await asyncio.to_thread(self._write, f"{mail_id}.eml", message.as_bytes())

    def _write(self, name: str, content: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with os.fdopen(os.open(self._folder / name, flags, _OWNER_ONLY), "wb") as file:
            file.write(content)
