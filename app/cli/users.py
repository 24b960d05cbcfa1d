"""Commands that create and list accounts, and set their passwords and roles."""
# ruff: noqa: PLC0415

from typing import TYPE_CHECKING, Annotated

import typer

from mscr.cli.accounts import (
    AsJson,
    PasswordStdin,
    change_account,
    list_accounts,
    member_of,
    read_password,
    say_page,
)
from mscr.cli.console import printable, remark, say
from mscr.cli.faults import validation_faults

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from app.models.user import User
    from app.schemas.auth_schemas import UserRegister
    from mscr.services.account_service import AccountService

commands = typer.Typer()


@commands.command("create-user")
def create_user(
    context: typer.Context,
    email: Annotated[str | None, typer.Option(help="Email address of the account.")] = None,
    full_name: Annotated[str | None, typer.Option(help="Full name of the person.")] = None,
    password_stdin: PasswordStdin = False,
    admin: Annotated[bool, typer.Option("--admin", help="Create an administrator.")] = False,
) -> None:
    """Create an account. Prompts for missing values, except with --password-stdin."""
    from app.models.user import UserRole

    if password_stdin and email is None:
        raise typer.BadParameter("required with --password-stdin", param_hint="--email")
    address = typer.prompt("Email") if email is None else email
    if full_name is None and not password_stdin:
        full_name = typer.prompt("Full name (optional)", default="", show_default=False)
    data = _registration(address, full_name, read_password(from_stdin=password_stdin))
    role = UserRole.ADMIN if admin else UserRole.USER
    user = _change(context, lambda accounts: accounts.create(data, role=role))
    kind = "administrator" if admin else "user"
    say(f"created the {kind} {printable(user.email)}, public id {user.public_id}")


@commands.command("set-password")
def set_password(
    context: typer.Context,
    email: Annotated[str, typer.Argument(help="Email address of the account.")],
    password_stdin: PasswordStdin = False,
) -> None:
    """Give an account a new password and end all its sessions."""
    # The same rules as for a new account: what this accepts can log in.
    data = _registration(email, None, read_password(from_stdin=password_stdin))
    user = _change(context, lambda accounts: accounts.replace_password(data.email, data.password))
    say(f"{printable(user.email)} has a new password; its sessions have ended")
    if not user.is_active:
        remark("the account is deactivated: nobody can log in with it")


@commands.command("set-role")
def set_role(
    context: typer.Context,
    email: Annotated[str, typer.Argument(help="Email address of the account.")],
    role: Annotated[str, typer.Argument(help="The new role.")],
) -> None:
    """Change the role of an account, with effect from its next request."""
    from app.models.user import UserRole

    new = member_of(UserRole, role, "ROLE")
    user = _change(context, lambda accounts: accounts.change_role(email, role=new))
    say(f"{printable(user.email)} has the role {user.role.value}")


@commands.command("list-users")
def list_users(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Maximum number of accounts.")] = 50,
    offset: Annotated[int, typer.Option(min=0, help="Number of accounts to skip.")] = 0,
    as_json: AsJson = False,
) -> None:
    """List the accounts, oldest first."""
    from app.schemas.user_schemas import UserResponse

    users, total = list_accounts(context, limit=limit, offset=offset)
    rows = [UserResponse.model_validate(user).model_dump(mode="json") for user in users]
    columns = ("public_id", "email", "full_name", "role", "is_active", "created_at")
    say_page("users", rows, total, columns=columns, as_json=as_json)


def _change(
    context: typer.Context, act: "Callable[[AccountService[User]], Coroutine[Any, Any, User]]"
) -> "User":
    from app.models.user import ADMINISTRATORS
    from app.repositories.user_repository import UserRepository
    from app.services.auth_service import password_context
    from mscr.services.account_service import AccountService

    return change_account(
        context,
        lambda session, parts: act(
            AccountService(
                UserRepository(session),
                **parts,
                context=password_context,
                administrators=ADMINISTRATORS,
            )
        ),
    )


def _registration(email: str, full_name: str | None, password: str) -> "UserRegister":
    from app.schemas.auth_schemas import UserRegister

    with validation_faults():
        return UserRegister(email=email, password=password, full_name=full_name or None)
