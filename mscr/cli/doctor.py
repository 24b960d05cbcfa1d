"""The command `doctor`: check the installation, and print a remedy for each failure."""
# ruff: noqa: PLC0415

import asyncio
import difflib
import os
import time
from collections.abc import Coroutine, Generator, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mscr.cli.command_line import project_of
from mscr.cli.console import say, say_json
from mscr.cli.database_sessions import open_session
from mscr.cli.faults import BRING_UP, REPAIR, Fault, database_name, listed
from mscr.connections.backing_services import MAIL, REPLICA, STORE
from mscr.connections.diagnosis import Service, diagnose

if TYPE_CHECKING:
    from mscr.core.config import Settings
    from mscr.db.write_access import WriteAccess
    from mscr.project import Project

EMPTY_PATH: Final = (
    "if a pooler is in front, another client such as pg_restore left it: RECONNECT in PgBouncer's"
    " console, and restore past the pooler; otherwise ALTER ROLE ... SET search_path"
)
# Enough for a stable measurement.
HASHES: Final = 3

commands = typer.Typer()


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. `remedy` is empty if the check passed."""

    check: str
    detail: str
    remedy: str = ""


@commands.command()
def doctor(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check settings, database, migrations, Redis and hashing; print how to fix each failure."""
    findings = list(_examine(project_of(context)))
    healthy = not any(finding.remedy for finding in findings)
    if as_json:
        say_json({"healthy": healthy, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            state = "FAILED" if finding.remedy else "ok"
            remedy = f"; {finding.remedy}" if finding.remedy else ""
            say(f"{state:<7} {finding.check:<11} {finding.detail}{remedy}")
    raise typer.Exit(0 if healthy else 1)


def _examine(project: "Project") -> Iterator[Finding]:
    yield from _env_file(project)
    settings = yield from _settings(project)
    if settings is None:
        return
    yield from _database(project, settings)
    if settings.DATABASE_REPLICA_URL is not None:
        yield _service("replica", REPLICA, _replica_answer(project))
    if settings.REDIS_URL is not None:
        yield _service("redis", STORE, _redis_answer(settings))
    if settings.SMTP_URL is not None:
        yield _service("mail", MAIL, _mail_answer(settings))
    yield from _mail_files(settings)
    yield from _mail_templates(settings)
    yield asyncio.run(_hashing(settings))


def _env_file(project: "Project") -> Iterator[Finding]:
    from mscr.cli.env_file import env_file, names_in

    file, settings = env_file(project), project.settings
    if not file.is_file():
        yield Finding(".env", f"{file} does not exist; only environment variables count")
        return
    known = {*settings.model_fields, *(f"{name}_FILE" for name in settings.model_fields)}
    unknown = [name for name in names_in(file, settings) if name not in known]
    for name in unknown:
        near = difflib.get_close_matches(name, settings.model_fields, n=1)
        remedy = f"rename it to {near[0]}" if near else "remove it: nothing reads it"
        yield Finding(".env", f"{name} is not a setting", remedy)
    if not unknown:
        yield Finding(".env", f"{file} has no unknown names")


def _settings(project: "Project") -> "Generator[Finding, None, Settings | None]":
    try:
        settings = project.get_settings()
    except SystemExit as end:
        for line in str(end.code).splitlines():
            detail = line.removeprefix("Configuration error: ").rstrip(".")
            yield Finding("settings", detail, "correct it in .env or the environment")
        return None
    yield Finding("settings", f"valid, for {settings.ENVIRONMENT.value}")
    return settings


def _database(project: "Project", settings: "Settings") -> Iterator[Finding]:
    path = settings.database_url.database or ""
    if settings.is_sqlite and not Path(path).exists():
        # Connecting would create the file, but not its folder.
        remedy = _way_to_file(Path(path).absolute().parent)
        yield Finding("database", f"{database_name(settings)} does not exist", remedy)
        return
    try:
        current, missing, access = asyncio.run(_schema(project))
    except Fault as fault:
        yield Finding("database", fault.detail, fault.remedy)
        return
    if access.is_read_only:
        detail = f"{database_name(settings)} is read-only: a standby, or configured so"
        yield Finding("database", detail, "point DATABASE_URL at the primary")
    else:
        yield Finding("database", f"{database_name(settings)} responds")
    yield _migrations(project, current, missing, access)


def _way_to_file(folder: Path) -> str:
    if not folder.is_dir():
        return f"create the folder {folder}"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"let this user write to the folder {folder}"
    return BRING_UP


async def _schema(project: "Project") -> "tuple[set[str], list[str], WriteAccess]":
    """Return the database's revisions, the faults of its schema, and our write access."""
    from alembic.migration import MigrationContext

    from mscr.db.schema_check import find_faults
    from mscr.db.write_access import write_access

    # A writing session takes SQLite's lock, so that missing write access shows here.
    async with open_session(project) as session:
        connection = await session.connection()
        current = await connection.run_sync(
            lambda sync: set(MigrationContext.configure(sync).get_current_heads())
        )
        faults = await connection.run_sync(find_faults, project.metadata(), project.search_columns)
        access = await connection.run_sync(write_access, project.metadata())
        return current, [str(fault) for fault in faults], access


def _migrations(
    project: "Project", current: set[str], missing: list[str], access: "WriteAccess"
) -> Finding:
    from alembic.script import ScriptDirectory

    from mscr.db.migration_faults import MERGE
    from mscr.db.migrations import alembic_config

    if not access.has_path:
        return Finding("migrations", "search_path is empty: no table can be found", EMPTY_PATH)
    scripts = ScriptDirectory.from_config(alembic_config(project.root))
    known = {script.revision for script in scripts.walk_revisions()}
    newest = set(scripts.get_heads())
    if len(newest) > 1:
        return Finding("migrations", f"the code has {len(newest)} heads, {_names(newest)}", MERGE)
    if current == newest and missing:
        detail = f"at the newest, {_names(newest)}, but {listed(missing)}"
        return Finding("migrations", detail, REPAIR)
    if current == newest:
        return Finding("migrations", f"at the newest, {_names(newest)}")
    if strange := current - known:
        detail = f"the database is at {_names(strange)}, which this code does not have"
        return Finding("migrations", detail, "deploy the code that has it")
    nothing = "without a recorded revision" if access.has_tables else "empty"
    where = f"at {_names(current)}" if current else nothing
    detail = f"the database is {where}, not at {_names(newest)}"
    if current and missing:
        detail += f": {listed(missing)}"
    return Finding("migrations", detail, _way_up(current, access))


def _way_up(current: set[str], access: "WriteAccess") -> str:
    """Return the first, or only, remedy for a database that lacks migrations."""
    from mscr.db.migration_faults import UNRECORDED

    if access.is_read_only:
        return "point DATABASE_URL at the primary"
    if access.has_tables and not current:
        return UNRECORDED
    if access.grant:
        return f"let the database's owner run, as this role may not create: {access.grant}"
    return BRING_UP


def _names(revisions: set[str]) -> str:
    return ", ".join(sorted(revisions))


def _service(check: str, service: Service, answer: Coroutine[Any, Any, str]) -> Finding:
    """Return a finding with the result of `answer`, or with the diagnosis of its exception."""
    try:
        return Finding(check, asyncio.run(answer))
    except Fault as fault:
        return Finding(check, fault.detail, fault.remedy)
    except Exception as error:
        if (found := diagnose(error, service)) is None:
            raise
        return Finding(check, found.cause, found.remedy)


async def _replica_answer(project: "Project") -> str:
    from sqlalchemy import text

    async with open_session(project, replica=True) as session:
        await session.execute(text("SELECT 1"))
    return "responds"


async def _redis_answer(settings: "Settings") -> str:
    from mscr.connections.counter_store import count_once

    assert settings.REDIS_URL is not None  # noqa: S101  # checked by the caller
    keepalive = timedelta(seconds=settings.TCP_KEEPALIVE_SECONDS)
    await count_once(settings.REDIS_URL.get_secret_value(), keepalive=keepalive)
    return "responds, and counts"


async def _mail_answer(settings: "Settings") -> str:
    from mscr.mail.mailer import create_mailer

    async with asyncio.timeout(settings.SMTP_TIMEOUT_SECONDS):
        await create_mailer(settings).check()
    return "responds, and accepts the login"


def _mail_files(settings: "Settings") -> Iterator[Finding]:
    from mscr.mail.mailer import create_mailer

    if settings.MAIL_FOLDER is None:
        return
    try:
        asyncio.run(create_mailer(settings).check())
    except OSError as error:
        detail = f"no file can be written to {settings.MAIL_FOLDER}: {error.strerror}"
        yield Finding("mail", detail, "correct MAIL_FOLDER, or the rights of the folder")
    else:
        yield Finding("mail", f"written to files in {settings.MAIL_FOLDER}")


def _mail_templates(settings: "Settings") -> Iterator[Finding]:
    from mscr.mail.template_files import EXAMPLES
    from mscr.mail.templates import MailTemplates

    mails = MailTemplates.of(settings)
    faults = mails.faults()
    for fault in faults.values():
        yield Finding(
            "templates", fault, f"correct it, or add an example of the value to {EXAMPLES}"
        )
    if not faults and (names := mails.names()):
        yield Finding("templates", f"{len(names)} can be rendered")


async def _hashing(settings: "Settings") -> Finding:
    from mscr.core.security.password import PasswordService

    times = []
    with closing(PasswordService(settings)) as passwords:
        for _ in range(HASHES):
            started = time.perf_counter()
            await passwords.hash("how long does this take")
            times.append(time.perf_counter() - started)
    threads = settings.PASSWORD_HASH_THREADS
    rate = threads / min(times)
    detail = f"{min(times) * 1000:.0f} ms a hash: at most {rate:.0f} logins a second and worker"
    return Finding("passwords", detail)
