"""Commands that create and list accounts, and set their passwords and roles."""
# ruff: noqa: PLC0415

from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

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
from mscr.cli.schema_options import (
    prompted,
    require_options,
    schema_command,
    texts_of,
    validated,
)

if TYPE_CHECKING:
    from enum import Enum

    from pydantic import BaseModel

    from mscr.repositories.account_repository import AccountRepository
    from mscr.services.account_service import AccountService


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountModels:
    """The parts of an application that the commands of accounts work on."""

    registration: "type[Any]"
    """The schema of a registration: each field is an option of `create-user`."""
    response: "type[BaseModel]"
    """The schema that `list-users` shows."""
    repository: "type[AccountRepository[Any]]"
    roles: "type[Enum]"
    """The values of the column `role`."""
    administrators: Mapping[str, Any]
    """The columns of an administrator."""
    context: Callable[[Any], Iterable[str]]
    """Return the texts of a registration or an account that its password must not consist of."""


def account_commands(load: Callable[[], AccountModels]) -> typer.Typer:
    """Return `create-user`, `set-password`, `set-role` and `list-users`.

    `load` is called when a command runs: `--help` stays fast.
    """
    commands = typer.Typer()
    _add_creation(commands, load)
    _add_changes(commands, load)
    _add_list(commands, load)
    return commands


def _add_creation(commands: typer.Typer, load: Callable[[], AccountModels]) -> None:
    options = schema_command(lambda: load().registration, without=frozenset({"password"}))

    @commands.command("create-user", cls=options)
    def create_user(
        context: typer.Context,
        password_stdin: PasswordStdin = False,
        admin: Annotated[bool, typer.Option("--admin", help="Create an administrator.")] = False,
    ) -> None:
        """Create an account. Prompts for missing values, except with --password-stdin."""
        models, texts = load(), texts_of(context)
        if password_stdin:
            require_options(models.registration, texts, by="--password-stdin")
        else:
            texts = prompted(models.registration, texts)
        password = read_password(from_stdin=password_stdin)
        data = validated(models.registration, texts, password=password)
        columns = models.administrators if admin else {}
        user = _change(context, models, lambda accounts: accounts.create(data, **columns))
        kind = "administrator" if admin else "user"
        say(f"created the {kind} {printable(user.email)}, public id {user.public_id}")


def _add_changes(commands: typer.Typer, load: Callable[[], AccountModels]) -> None:
    @commands.command("set-password")
    def set_password(
        context: typer.Context,
        email: Annotated[str, typer.Argument(help="Email address of the account.")],
        password_stdin: PasswordStdin = False,
    ) -> None:
        """Give an account a new password and end all its sessions."""
        models = load()
        # The same rules as for a new account: what this accepts can log in.
        schema = _credentials(models.registration)
        data = validated(
            schema, {"email": email}, password=read_password(from_stdin=password_stdin)
        )
        user = _change(context, models, lambda it: it.replace_password(data.email, data.password))
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
        models = load()
        new = member_of(models.roles, role, "ROLE")
        user = _change(context, models, lambda accounts: accounts.change_role(email, role=new))
        say(f"{printable(user.email)} has the role {user.role.value}")


def _add_list(commands: typer.Typer, load: Callable[[], AccountModels]) -> None:
    @commands.command("list-users")
    def list_users(
        context: typer.Context,
        limit: Annotated[
            int, typer.Option(min=1, max=10_000, help="Maximum number of accounts.")
        ] = 50,
        offset: Annotated[int, typer.Option(min=0, help="Number of accounts to skip.")] = 0,
        as_json: AsJson = False,
    ) -> None:
        """List the accounts, oldest first."""
        response = load().response
        users, total = list_accounts(context, limit=limit, offset=offset)
        rows = [response.model_validate(user).model_dump(mode="json") for user in users]
        say_page("users", rows, total, columns=_columns(response), as_json=as_json)


def _change(
    context: typer.Context,
    models: AccountModels,
    act: "Callable[[AccountService[Any]], Coroutine[Any, Any, Any]]",
) -> Any:
    from mscr.services.account_service import AccountService

    return change_account(
        context,
        lambda session, parts: act(
            AccountService(
                models.repository(session),
                **parts,
                context=models.context,
                administrators=models.administrators,
            )
        ),
    )


def _credentials(registration: "type[BaseModel]") -> "type[Any]":
    """Return the schema of a registration's address and password alone."""
    from pydantic import create_model

    fields = registration.model_fields
    needed: dict[str, Any] = {
        name: (fields[name].rebuild_annotation(), ...) for name in ("email", "password")
    }
    schema: type[Any] = create_model("Credentials", **needed)
    return schema


def _columns(response: "type[BaseModel]") -> list[str]:
    """Return the columns of the table: the id first, the times last, without `updated_at`."""
    names = [name for name in response.model_fields if name != "updated_at"]
    return sorted(names, key=lambda name: (name == "created_at", name != "public_id"))
