"""The command that rotates the encryption key: re-encrypts stored values with the newest."""
# ruff: noqa: PLC0415

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mscr.cli.command_line import project_of
from mscr.cli.console import printable, progress, remark, say
from mscr.cli.database_sessions import open_session
from mscr.cli.faults import Fault, require_consent

if TYPE_CHECKING:
    from sqlalchemy import Column

    from mscr.project import Project

commands = typer.Typer()


@commands.command("rotate-encryption")
def rotate_encryption(
    context: typer.Context,
    batch: Annotated[int, typer.Option(min=1, max=10_000, help="Rows in one transaction.")] = 500,
    yes: Annotated[bool, typer.Option("--yes", help="Run in production too.")] = False,
) -> None:
    """Re-encrypt stored values with the newest SECRET_KEY. If interrupted, run it again."""
    from mscr.repositories.encrypted_value_repository import encrypted_columns

    project = project_of(context)
    require_consent(project.get_settings(), yes=yes)
    try:
        columns = encrypted_columns(project.metadata())
    except TypeError as error:
        raise Fault(str(error), "add PublicIdMixin to its model, and a migration") from error
    with progress("re-encrypting") as advance:
        unreadable = asyncio.run(_rotate_all(project, columns, batch, advance))
    if unreadable:
        detail = f"values that could not be decrypted and were left unchanged: {unreadable}"
        raise Fault(detail, "keep SECRET_KEY_PREVIOUS; add the missing key, and run this again")


async def _rotate_all(
    project: "Project", columns: "list[Column[Any]]", batch: int, advance: Callable[[int], None]
) -> int:
    """Re-encrypt all columns. Return the number of values that could not be decrypted."""
    from mscr.core.security.encryption import EncryptionService
    from mscr.repositories.encrypted_value_repository import EncryptedValueRepository
    from mscr.services.encryption_rotation_service import EncryptionRotationService

    encryption = EncryptionService.from_settings(project.get_settings())
    unreadable = 0
    async with open_session(project) as session:
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
