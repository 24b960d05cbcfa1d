"""Users: accounts made, listed and given a new password from the command line."""
# ruff: noqa: PLC0415

import asyncio
import sys
from contextlib import asynccontextmanager, closing, contextmanager
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from app.cli.console import printable, remark, say, say_json, say_table
from app.cli.faults import Fault, require_consent, validation_line
from app.cli.sessions import audit_trail, open_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from app.models.user import User, UserRole
    from app.schemas.auth_schemas import UserRegister
    from app.services.account_service import AccountService

# Never an option with a value: every user of the machine can read the process list.
PasswordStdin = Annotated[
    bool,
    typer.Option("--password-stdin", help="Read the password from the first line of the input."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

commands = typer.Typer()


@commands.command("create-user")
def create_user(
    email: Annotated[str | None, typer.Option(help="The address to log in with.")] = None,
    full_name: Annotated[str | None, typer.Option(help="The person's name.")] = None,
    password_stdin: PasswordStdin = False,
    admin: Annotated[bool, typer.Option("--admin", help="Make an administrator.")] = False,
) -> None:
    """Create an account. Asks for what is not given; with --password-stdin it asks nothing."""
    from app.models.user import UserRole

    if password_stdin and email is None:
        raise typer.BadParameter("needed with --password-stdin", param_hint="--email")
    if email is None:
        email = typer.prompt("Email")
    if full_name is None and not password_stdin:
        full_name = typer.prompt("Full name (may stay empty)", default="", show_default=False)
    data = _registration(email, full_name, _read_password(from_stdin=password_stdin))
    user = asyncio.run(_create(data, UserRole.ADMIN if admin else UserRole.USER))
    kind = "administrator" if user.is_admin else "user"
    say(f"created the {kind} {printable(user.email)}, public id {user.public_id}")


@commands.command("set-password")
def set_password(
    email: Annotated[str, typer.Argument(help="Whose password.")],
    password_stdin: PasswordStdin = False,
) -> None:
    """Give an account a new password and end all its sessions."""
    # The same rules as for a new account: what this accepts can log in.
    data = _registration(email, None, _read_password(from_stdin=password_stdin))
    user = asyncio.run(_replace_password(data.email, data.password))
    say(f"{printable(user.email)} has a new password; its sessions have ended")
    if not user.is_active:
        remark("the account is deactivated: nobody can log in with it")


@commands.command("set-role")
def set_role(
    email: Annotated[str, typer.Argument(help="Whose role.")],
    role: Annotated[Literal["user", "admin"], typer.Argument(help="Which one.")],
) -> None:
    """Make an account an administrator's or a user's; it acts on the next request."""
    from app.models.user import UserRole

    user = asyncio.run(_change_role(email, UserRole(role)))
    say(f"{printable(user.email)} has the role {user.role.value}")


@commands.command("list-users")
def list_users(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    offset: Annotated[int, typer.Option(min=0, help="Leave out so many first.")] = 0,
    as_json: AsJson = False,
) -> None:
    """List the accounts, oldest first."""
    from app.schemas.user_schemas import UserResponse

    users, total = asyncio.run(_list(limit, offset))
    rows = [UserResponse.model_validate(user).model_dump(mode="json") for user in users]
    if as_json:
        say_json({"users": rows, "total": total})
        return
    columns = ("public_id", "email", "full_name", "role", "is_active", "created_at")
    say_table(columns, [[_cell(row[column]) for column in columns] for row in rows])
    if len(rows) < total:
        remark(f"{len(rows)} of {total}; --limit and --offset show others")


@commands.command("end-all-sessions")
def end_all_sessions(
    batch: Annotated[int, typer.Option(min=1, max=100_000, help="Rows in one transaction.")] = 1000,
    yes: Annotated[bool, typer.Option("--yes", help="Do it in production too.")] = False,
) -> None:
    """End every session of every account, as after a restore or the loss of a key."""
    from app.core.config import get_settings

    require_consent(get_settings(), yes=yes)
    say(f"ended {asyncio.run(_end_all_sessions(batch))} sessions; everybody has to log in again")


async def _end_all_sessions(batch: int) -> int:
    from app.models.audit_event import AuditAction
    from app.models.base import utcnow
    from app.repositories.refresh_token_repository import RefreshTokenRepository
    from app.services.audit_event_service import NOBODY

    total = 0
    async with open_session() as session:
        await audit_trail(session, "end-all-sessions").record(AuditAction.LOGOUT_ALL, NOBODY)
        sessions = RefreshTokenRepository(session)
        while ended := await sessions.end_any(now=utcnow(), batch=batch):
            await session.commit()
            total += ended
        await session.commit()
    return total


async def _create(data: "UserRegister", role: "UserRole") -> "User":
    async with _accounts("create-user") as accounts:
        return await accounts.create(data, role=role)


async def _replace_password(email: str, password: str) -> "User":
    with _explained():
        async with _accounts("set-password") as accounts:
            return await accounts.replace_password(email, password)


async def _change_role(email: str, role: "UserRole") -> "User":
    with _explained():
        async with _accounts("set-role") as accounts:
            return await accounts.change_role(email, role)


@contextmanager
def _explained() -> "Iterator[None]":
    from app.core.exceptions import LastAdministratorError, NotFoundError

    try:
        yield
    except NotFoundError:
        detail = "there is no account with this address"
        raise Fault(detail, "see: python cli.py list-users") from None
    except LastAdministratorError:
        detail = "there would be no administrator left"
        raise Fault(detail, "make another account one first") from None


@asynccontextmanager
async def _accounts(command: str) -> "AsyncIterator[AccountService]":
    from app.core.config import get_settings
    from app.core.security.password import PasswordService
    from app.core.security.password_policy import PasswordPolicy
    from app.repositories.user_repository import UserRepository
    from app.services.account_service import AccountService

    settings = get_settings()
    with closing(PasswordService(settings)) as passwords:
        async with open_session() as session:
            yield AccountService(
                UserRepository(session),
                audit_trail(session, command),
                passwords=passwords,
                policy=PasswordPolicy(settings),
            )


async def _list(limit: int, offset: int) -> "tuple[Sequence[User], int]":
    from app.repositories.user_repository import UserRepository

    async with open_session(read_only=True) as session:
        users = UserRepository(session)
        return await users.list(limit=limit, offset=offset), await users.count()


def _registration(email: str, full_name: str | None, password: str) -> "UserRegister":
    from pydantic import ValidationError

    from app.schemas.auth_schemas import UserRegister

    try:
        return UserRegister(email=email, password=password, full_name=full_name or None)
    except ValidationError as error:
        raise Fault(validation_line(error)) from error


def _read_password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
