"""Doctor: what is wrong with this installation, and what to do about it."""
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

from app.cli.console import say, say_json
from app.cli.faults import BRING_UP, REPAIR, Fault, database_name, listed
from app.cli.sessions import open_session
from app.core.backing_services import MAIL, REPLICA, STORE
from app.core.diagnosis import Service, diagnose

if TYPE_CHECKING:
    from app.core.config import Settings
    from app.db.write_access import WriteAccess

EMPTY_PATH: Final = (
    "if a pooler is in front, another client such as pg_restore left it: RECONNECT in PgBouncer's"
    " console, and restore past the pooler; otherwise ALTER ROLE ... SET search_path"
)
# As many as show a steady time.
HASHES: Final = 3

commands = typer.Typer()


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `remedy` is empty when nothing is wrong."""

    check: str
    detail: str
    remedy: str = ""


@commands.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check settings, database, migrations, Redis and hashing; say how to mend what fails."""
    findings = list(_examine())
    healthy = not any(finding.remedy for finding in findings)
    if as_json:
        say_json({"healthy": healthy, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            state = "FAILED" if finding.remedy else "ok"
            remedy = f"; {finding.remedy}" if finding.remedy else ""
            say(f"{state:<7} {finding.check:<11} {finding.detail}{remedy}")
    raise typer.Exit(0 if healthy else 1)


def _examine() -> Iterator[Finding]:
    yield from _env_file()
    settings = yield from _settings()
    if settings is None:
        return
    yield from _database(settings)
    if settings.DATABASE_REPLICA_URL is not None:
        yield _service("replica", REPLICA, _replica_answer())
    if settings.REDIS_URL is not None:
        yield _service("redis", STORE, _redis_answer(settings))
    if settings.SMTP_URL is not None:
        yield _service("mail", MAIL, _mail_answer(settings))
    yield asyncio.run(_hashing(settings))


def _env_file() -> Iterator[Finding]:
    from app.cli.env_file import env_file, names_in
    from app.core.config import Settings

    file = env_file()
    if not file.is_file():
        yield Finding(".env", f"{file} does not exist; only environment variables count")
        return
    known = {*Settings.model_fields, *(f"{name}_FILE" for name in Settings.model_fields)}
    unknown = [name for name in names_in(file) if name not in known]
    for name in unknown:
        near = difflib.get_close_matches(name, Settings.model_fields, n=1)
        remedy = f"rename it to {near[0]}" if near else "remove it: nothing reads it"
        yield Finding(".env", f"{name} is no setting", remedy)
    if not unknown:
        yield Finding(".env", f"{file} has no unknown names")


def _settings() -> "Generator[Finding, None, Settings | None]":
    from app.core.config import get_settings

    try:
        settings = get_settings()
    except SystemExit as end:
        for line in str(end.code).splitlines():
            detail = line.removeprefix("Configuration error: ").rstrip(".")
            yield Finding("settings", detail, "correct it in .env or the environment")
        return None
    yield Finding("settings", f"valid, for {settings.ENVIRONMENT.value}")
    return settings


def _database(settings: "Settings") -> Iterator[Finding]:
    path = settings.database_url.database or ""
    if settings.is_sqlite and not Path(path).exists():
        # Connecting would create it, though not its folder.
        remedy = _way_to_file(Path(path).absolute().parent)
        yield Finding("database", f"{database_name(settings)} does not exist", remedy)
        return
    try:
        current, missing, access = asyncio.run(_schema())
    except Fault as fault:
        yield Finding("database", fault.detail, fault.remedy)
        return
    if access.is_read_only:
        detail = f"{database_name(settings)} is read-only: a standby, or set so"
        yield Finding("database", detail, "have DATABASE_URL lead to the primary")
    else:
        yield Finding("database", f"{database_name(settings)} answers")
    yield _migrations(current, missing, access)


def _way_to_file(folder: Path) -> str:
    if not folder.is_dir():
        return f"create the folder {folder}"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"let this user write in the folder {folder}"
    return BRING_UP


async def _schema() -> "tuple[set[str], list[str], WriteAccess]":
    """Return the revisions that the database is at, what its schema lacks, and what we may do."""
    from alembic.migration import MigrationContext

    from app.db.schema_check import find_faults
    from app.db.search_index import search_columns
    from app.db.write_access import write_access
    from app.models import Base

    # To write: SQLite takes its lock, so that whoever may not write learns it here.
    async with open_session() as session:
        connection = await session.connection()
        current = await connection.run_sync(
            lambda sync: set(MigrationContext.configure(sync).get_current_heads())
        )
        faults = await connection.run_sync(find_faults, Base.metadata, search_columns)
        access = await connection.run_sync(write_access, Base.metadata)
        return current, [str(fault) for fault in faults], access


def _migrations(current: set[str], missing: list[str], access: "WriteAccess") -> Finding:
    from alembic.script import ScriptDirectory

    from app.db.init_db import alembic_config
    from app.db.migration_faults import MERGE

    if not access.has_path:
        return Finding("migrations", "search_path is empty: no table can be found", EMPTY_PATH)
    scripts = ScriptDirectory.from_config(alembic_config())
    known = {script.revision for script in scripts.walk_revisions()}
    newest = set(scripts.get_heads())
    if len(newest) > 1:
        return Finding("migrations", f"the code has {len(newest)} ends, {_names(newest)}", MERGE)
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
    """Return the remedy for a database that is behind: what has to be done first, or all."""
    from app.db.migration_faults import UNRECORDED

    if access.is_read_only:
        return "have DATABASE_URL lead to the primary"
    if access.has_tables and not current:
        return UNRECORDED
    if access.grant:
        return f"let the database's owner run, as this role may not create: {access.grant}"
    return BRING_UP


def _names(revisions: set[str]) -> str:
    return ", ".join(sorted(revisions))


def _service(check: str, service: Service, answer: Coroutine[Any, Any, str]) -> Finding:
    """Return what `answer` returns, or the diagnosis of what it raises."""
    try:
        return Finding(check, asyncio.run(answer))
    except Fault as fault:
        return Finding(check, fault.detail, fault.remedy)
    except Exception as error:
        if (found := diagnose(error, service)) is None:
            raise
        return Finding(check, found.cause, found.remedy)


async def _replica_answer() -> str:
    from sqlalchemy import text

    async with open_session(replica=True) as session:
        await session.execute(text("SELECT 1"))
    return "answers"


async def _redis_answer(settings: "Settings") -> str:
    from app.core.counter_store import count_once

    assert settings.REDIS_URL is not None  # noqa: S101  # or nobody calls this
    keepalive = timedelta(seconds=settings.TCP_KEEPALIVE_SECONDS)
    await count_once(settings.REDIS_URL.get_secret_value(), keepalive=keepalive)
    return "answers, and counts"


async def _mail_answer(settings: "Settings") -> str:
    from app.mail.mailer import create_mailer

    async with asyncio.timeout(settings.SMTP_TIMEOUT_SECONDS):
        await create_mailer(settings).check()
    return "answers, and lets us in"


async def _hashing(settings: "Settings") -> Finding:
    from app.core.security.password import PasswordService

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
