"""Shared parts of commands about accounts: passwords, services, faults, and tables."""
# ruff: noqa: PLC0415

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated, Any, TypedDict, TypeVar

import typer

from mscr.cli.audit import audit_trail
from mscr.cli.command_line import project_of
from mscr.cli.console import remark, say_json, say_table
from mscr.cli.database_sessions import open_session
from mscr.cli.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import Enum

    from sqlalchemy.ext.asyncio import AsyncSession

    from mscr.core.security.password import PasswordService
    from mscr.core.security.password_policy import PasswordPolicy
    from mscr.models.account import AccountMixin
    from mscr.services.audit_event_service import AuditTrail

T = TypeVar("T")
E = TypeVar("E", bound="Enum")

# Never take the password as an argument: every user of the machine can read the process list.
PasswordStdin = Annotated[
    bool,
    typer.Option("--password-stdin", help="Read the password from the first line of the input."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class AccountParts(TypedDict):
    """Arguments of `AccountService`, by name."""

    audit: "AuditTrail"
    passwords: "PasswordService"
    policy: "PasswordPolicy"


def change_account(
    context: typer.Context,
    act: "Callable[[AsyncSession, AccountParts], Coroutine[Any, Any, T]]",
) -> T:
    """Run `act` in a session of its own; its audit events name the command.

    Raises `Fault` where `act` raises `NotFoundError` or `LastAdministratorError`.
    """
    with account_faults():
        return asyncio.run(_change(context, act))


async def _change(
    context: typer.Context,
    act: "Callable[[AsyncSession, AccountParts], Coroutine[Any, Any, T]]",
) -> T:
    from mscr.core.security.password import PasswordService
    from mscr.core.security.password_policy import PasswordPolicy

    project = project_of(context)
    settings = project.get_settings()
    with closing(PasswordService(settings)) as passwords:
        async with open_session(project) as session:
            parts = AccountParts(
                audit=audit_trail(project, session, context.info_name or ""),
                passwords=passwords,
                policy=PasswordPolicy(settings),
            )
            return await act(session, parts)


def member_of(choices: type[E], word: str, argument: str) -> E:
    """Return the member with this value. Raises `BadParameter`, which lists the values."""
    try:
        return choices(word)
    except ValueError:
        values = ", ".join(str(member.value) for member in choices)
        detail = f"{word!r} is not one of {values}"
        raise typer.BadParameter(detail, param_hint=argument) from None


def list_accounts(
    context: typer.Context, *, limit: int, offset: int
) -> "tuple[Sequence[AccountMixin], int]":
    """Return some accounts, oldest first, and how many there are."""

    async def read() -> "tuple[Sequence[AccountMixin], int]":
        from mscr.repositories.account_repository import AccountRepository

        project = project_of(context)
        async with open_session(project, read_only=True) as session:
            users = AccountRepository(project.tables().user, session)
            return await users.list(limit=limit, offset=offset), await users.count()

    return asyncio.run(read())


def say_page(
    name: str,
    rows: "Sequence[Mapping[str, object]]",
    total: int,
    *,
    columns: Sequence[str],
    as_json: bool,
) -> None:
    """Print rows as a table, or all of their values as JSON under `name`."""
    if as_json:
        say_json({name: rows, "total": total})
        return
    say_table(columns, [[cell(row[column]) for column in columns] for row in rows])
    if len(rows) < total:
        remark(f"{len(rows)} of {total}; --limit and --offset show others")


@contextmanager
def account_faults() -> Iterator[None]:
    """Convert expected errors about an account to a `Fault`."""
    from mscr.core.exceptions import LastAdministratorError, NotFoundError

    try:
        yield
    except NotFoundError:
        detail = "no account has this address"
        raise Fault(detail, "see: python cli.py list-users") from None
    except LastAdministratorError:
        detail = "this is the last administrator"
        raise Fault(detail, "make another account an administrator first") from None


def read_password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
