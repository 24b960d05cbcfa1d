"""docs/users.md: its fields of the user, in every way in and out, on both databases."""

import ast
import re
from pathlib import Path
from typing import Final

import pytest

from app.core.config import PROJECT_ROOT
from mscr.testing.postgres import PostgresServer
from tests.docs.markdown import code_blocks
from tests.docs.project_copy import ProjectCopy
from tests.docs.recipe import TARGET, replace_file, type_block

BLOCKS = code_blocks(PROJECT_ROOT / "docs/users.md")
OWN_TESTS = "tests/test_usernames.py tests/test_phones.py"
KEPT = (
    "tests/test_users.py",
    "tests/test_registration_by_mail.py",
    "tests/test_auth.py",
    "tests/test_commands.py",
    "tests/test_routes.py",
)
PHONES: Final = """
import asyncio
from dataclasses import replace

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from app.cli import app as command_line
from app.project import project
from mscr.testing.api import PASSWORD
from mscr.testing.mail_registration import PUBLIC_URL, MailApi as KitMailApi
from mscr.testing.mail_server import mail_server
from mscr.testing.problems import faulty_fields, problem
from mscr.testing.table_rows import all_rows
from tests.api import Api

class MailApi(KitMailApi, Api): ...


PHONE = "+47 22 00 00 00"
EMAIL = "ada@example.com"


async def phone_of(api, account):
    shown = await api.client.get(api.me_path, headers=account.headers)
    assert shown.status_code == 200, shown.text
    return shown.json()["data"]["phone"]


async def test_a_registration_stores_it_and_a_patch_changes_it(api: Api) -> None:
    path, body = api.registration(EMAIL, PASSWORD)
    assert (await api.client.post(path, json={**body, "phone": PHONE})).status_code == 201
    account = await api.login(type(await api.register())(EMAIL, "", {}))
    before = await phone_of(api, account)
    body = {"phone": "+1 555 0100"}
    await api.client.patch(api.me_path, json=body, headers=account.headers)
    changed = await phone_of(api, account)
    await api.client.patch(api.me_path, json={"phone": None}, headers=account.headers)

    assert (before, changed, await phone_of(api, account)) == (PHONE, "+1 555 0100", None)


@pytest.fixture
async def server():
    async with mail_server() as found:
        yield found


class TestByMail:
    @pytest.fixture
    def settings(self, settings, server):
        values = {"REGISTRATION_BY_MAIL": True, "SMTP_URL": SecretStr(server.url)}
        return settings.model_copy(update=values | {"PUBLIC_URL": PUBLIC_URL})

    @pytest.fixture
    def api(self, client, database, server):
        return MailApi(client, database, server)

    async def test_the_mailed_link_has_it(self, api: MailApi) -> None:
        token = await api.mailed_token(EMAIL, phone=PHONE, username="ada")
        confirmed = await api.confirm(token)

        data = confirmed.json()["data"]
        assert (data["phone"], data["username"]) == (PHONE, "ada")

    async def test_a_taken_username_is_refused_before_a_mail_is_sent(self, api: MailApi) -> None:
        await api.confirm(await api.mailed_token(EMAIL, username="ada"))
        refused = [await api.ask(email, username="ada") for email in (EMAIL, "eve@example.com")]

        for response in refused:
            problem(response, 409, "username_taken")
        assert api.server.waiting == 0


async def test_deletion_erases_it(api: Api, database) -> None:
    account = await api.register()
    body = {"phone": PHONE, "username": "somebody"}
    await api.client.patch(api.me_path, json=body, headers=account.headers)
    assert PHONE in repr(await all_rows(database))
    await api.delete_account(account)

    left = repr(await all_rows(database))
    assert [text for text in (PHONE, "somebody") if text in left] == []


async def test_commands_take_and_show_it(settings, database) -> None:
    tested = replace(project, get_settings=lambda: settings)

    async def run(*arguments):
        invoke = CliRunner().invoke
        return await asyncio.to_thread(
            invoke, command_line, arguments, input=PASSWORD, obj=tested
        )

    options = (f"--email={EMAIL}", "--password-stdin", "--country=NO")
    refused = await run("create-user", *options, "--phone=none")
    created = await run("create-user", *options, f"--phone={PHONE}", "--username=ada")
    other = ("--email=eve@example.com", "--password-stdin", "--country=NO")
    again = await run("create-user", *other, "--username=ada")
    without = await run("create-user", "--email=eve@example.com", "--password-stdin")

    assert "phone: String should match pattern" in f"{refused.stderr}{refused.exception}"
    assert created.exit_code == 0, created.stderr
    assert "--country" in f"{without.stderr}{without.exception}"
    assert "Another account has this username" in f"{again.stderr}{again.exception}"
    assert PHONE in (await run("list-users")).stdout
"""


def insert(code: str, project: Path) -> None:
    """Write a block as a reader does, also into a class of an existing file."""
    target = TARGET.match(code)
    assert target, code
    change, lines = target["change"] or "", code[target.end() :]
    path = project / target["path"]
    if found := re.fullmatch(r"add (to|before) ([A-Z]\w+|__table_args__)", change):
        path.write_text(_with_lines(path.read_text(), found[1], found[2], lines))
    elif change == "import":
        path.write_text(path.read_text().replace("\nfrom ", f"\n{lines}from ", 1))
    elif change == "replace":
        replace_file(code, project)
    else:
        type_block(code, project)


def _with_lines(text: str, where: str, name: str, lines: str) -> str:
    rows = text.splitlines(keepends=True)
    if name == "__table_args__":
        place = next(n for n, row in enumerate(rows, 1) if "__table_args__ = (" in row)
    else:
        [found] = [
            n for n in ast.parse(text).body if isinstance(n, ast.ClassDef) and n.name == name
        ]
        assert found.end_lineno
        place = found.end_lineno if where == "to" else found.lineno - 1
    separator = "\n\n" if where == "before" else ""
    return "".join([*rows[:place], lines, separator, *rows[place:]])


ERROR: Final = "UsernameTakenError"
BY_MAIL: Final = 'status_code=202, operation_id="register"'
DECLARED: Final = {
    "app/routers/auth.py": {
        "problem_responses(EmailTakenError)": f"problem_responses(EmailTakenError, {ERROR})",
        "WrongPasswordError, EmailTakenError\n": f"WrongPasswordError, {ERROR}\n",
        BY_MAIL: f"{BY_MAIL}, responses=problem_responses({ERROR})",
        "    EmailTakenError,\n": f"    EmailTakenError,\n    {ERROR},\n",
    },
    "app/routers/users.py": {
        'patch("/me")': f'patch("/me", responses=problem_responses({ERROR}))',
        "    WrongPasswordError,\n)": f"    WrongPasswordError,\n    {ERROR},\n)",
    },
}


def declare(project: Path) -> None:
    """Declare the error at the four routes that the page names."""
    for name, edits in DECLARED.items():
        text = (project / name).read_text()
        for old, new in edits.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (project / name).write_text(text)


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    copy = ProjectCopy(tmp_path_factory.mktemp("users") / "project", PROJECT_ROOT)
    copy.delete_tests(*KEPT)
    copy.run("python cli.py generate-keys > .env")
    for block in BLOCKS:
        if block.language == "python" and TARGET.match(block.code):
            insert(block.code, copy.path)
        elif block.language == "bash":
            if "make record" in block.code:
                declare(copy.path)
            copy.run(block.code)
    (copy.path / "tests/test_phones.py").write_text(PHONES)
    return copy


def test_the_fields_are_in_every_way_in_and_out(
    followed: ProjectCopy, postgres: PostgresServer
) -> None:
    server = postgres.external_url or postgres.url("postgres")
    output = followed.run(
        f"pytest -q -n 0 --no-cov {OWN_TESTS} {' '.join(KEPT[:-1])}", TEST_POSTGRES_URL=server
    )

    assert " passed" in output


def test_the_check_of_deleted_accounts_covers_the_fields(
    followed: ProjectCopy, postgres: PostgresServer
) -> None:
    server = postgres.external_url or postgres.url("postgres")
    command = f"pytest -q -n 0 --no-cov {KEPT[-1]} -k Deletion"
    assert " passed" in followed.run(command, TEST_POSTGRES_URL=server)


def test_the_edited_files_pass_linters_and_types(followed: ProjectCopy) -> None:
    followed.run("ruff check --fix-only -q app && ruff format -q app && ruff check app")
    followed.run("mypy app")
    followed.run("python cli.py check-migrations && python -m migrations.check_locks")
    followed.run("python cli.py openapi --check")


def test_a_column_without_a_word_keeps_the_application_from_starting(
    followed: ProjectCopy,
) -> None:
    model = followed.path / "app/models/user.py"
    declared = model.read_text()
    model.write_text(declared.replace("String(40), info=PERSONAL", "String(40)"))
    try:
        output = followed.run("python -c 'import app.main' 2>&1 | tail -1 || true")
    finally:
        model.write_text(declared)

    assert "User.phone is declared neither personal nor not personal" in output
