"""Encryption: stored values under the newest key."""
# ruff: noqa: PLC0415

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.console import printable, progress, remark, say
from app.cli.faults import Fault, require_consent
from app.cli.sessions import open_session

if TYPE_CHECKING:
    from sqlalchemy import Column

    from app.core.config import Settings

commands = typer.Typer()


@commands.command("rotate-encryption")
def rotate_encryption(
    batch: Annotated[int, typer.Option(min=1, max=10_000, help="Rows in one transaction.")] = 500,
    yes: Annotated[bool, typer.Option("--yes", help="Do it in production too.")] = False,
) -> None:
    """Re-encrypt stored values with the newest SECRET_KEY; after an interruption, run it again."""
    from app.core.config import get_settings
    from app.repositories.encrypted_value_repository import encrypted_columns

    settings = get_settings()
    require_consent(settings, yes=yes)
    try:
        columns = encrypted_columns()
    except TypeError as error:
        raise Fault(str(error), "add PublicIdMixin to its model, and a migration") from error
    if not columns:
        say("no model has an encrypted column: nothing to re-encrypt")
        return
    with progress("re-encrypting") as advance:
        unreadable = asyncio.run(_rotate_all(columns, settings, batch, advance))
    if unreadable:
        detail = f"values that could not be read, and stay as they were: {unreadable}"
        raise Fault(detail, "keep SECRET_KEY_PREVIOUS; add the key that made them, and repeat this")


async def _rotate_all(
    columns: "list[Column[Any]]", settings: "Settings", batch: int, advance: Callable[[int], None]
) -> int:
    """How many values could not be read."""
    from app.core.security.encryption import EncryptionService
    from app.repositories.encrypted_value_repository import EncryptedValueRepository
    from app.services.encryption_rotation_service import EncryptionRotationService

    encryption = EncryptionService.from_settings(settings)
    unreadable = 0
    async with open_session() as session:
        for column in columns:
            values = EncryptedValueRepository(column, session)
            rotation = await EncryptionRotationService(values, encryption=encryption).rotate(
                batch=batch, on_batch=advance, on_unreadable=partial(_tell, column)
            )
            say(
                f"{column}: {rotation.renewed} re-encrypted, "
                f"{rotation.current} already under the newest key"
            )
            unreadable += rotation.unreadable
    return unreadable


def _tell(column: "Column[Any]", public_id: str, reason: str) -> None:
    remark(f"{column} of {printable(public_id)}: {reason}")
