"""Processes that send a mail through the outbox, and die (SIGKILL) at a step of it.

`python -m mscr.tests.support.mortal_processes` sends a mail to `FIRST`. Then it reads lines
`STEP EMAIL`. For each it forks a process, prints its id, and its exit status when it has ended. A
fork has loaded all, so that hundreds of processes can die in one test. Those of `Step.SENDING` are
killed by the test.
"""

import asyncio
import os
import signal
import sys
import traceback
from enum import Enum
from typing import Any, Final

from sqlalchemy import event

from examples.catalogue.db.session import database
from examples.catalogue.main import app
from mscr.jobs.outbox import Outbox
from mscr.jobs.runner import JobRunner
from mscr.mail.message import Mail
from mscr.repositories.job_repository import JobRepository

FIRST: Final = "first@example.com"
# Only a process that never comes to its step takes so long.
LIMIT_SECONDS: Final = 60


class Step(str, Enum):
    """The moment of the death."""

    COMMITTING = "committing"
    """Before the commit of the cause."""
    COMMITTED = "committed"
    """Before the process hands the job over, or looks for jobs."""
    SEARCHING = "searching"
    """Before the first query for a job: with an engine, its message has arrived."""
    CLAIMING = "claiming"
    """Before the commit of the claim."""
    CLAIMED = "claimed"
    """Before the connection to the mail server."""
    SENDING = "sending"
    """Before the reply of the mail server."""
    SENT = "sent"
    """Before the job is deleted."""
    ENDING = "ending"
    """Before the commit of the deletion."""
    ENDED = "ended"
    """After the commit of the deletion."""


STATEMENTS: Final = {
    "INSERT INTO jobs": "add",
    "SELECT": "search",
    "WITH due": "claim",
    "DELETE FROM jobs": "delete",
}
# Die before this statement, or before its commit.
BEFORE: Final = {Step.SENT: "delete", Step.SEARCHING: "search", Step.ENDED: "search after delete"}
BEFORE_COMMIT: Final = {Step.COMMITTING: "add", Step.CLAIMING: "claim", Step.ENDING: "delete"}


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _name_of(statement: str) -> str | None:
    # Others begin transactions.
    return next((name for start, name in STATEMENTS.items() if statement.startswith(start)), None)


def _die_at(step: Step) -> None:
    """Watch the statements and connections of this process."""
    seen = ["start"]

    def before_statement(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        name = _name_of(statement)
        if name is not None and BEFORE.get(step) in {name, f"{name} after {seen[-1]}"}:
            _die()
        seen.extend([name] if name else [])

    def before_commit(_connection: Any) -> None:
        if BEFORE_COMMIT.get(step) == seen[-1]:
            _die()

    def on_event(name: str, arguments: tuple[Any, ...]) -> None:
        # The database and the store are files or unix sockets.
        if step is Step.CLAIMED and name == "socket.connect" and isinstance(arguments[1], tuple):
            _die()

    for engine in {database.engine, database.read_engine}:
        event.listen(engine.sync_engine, "before_cursor_execute", before_statement)
        event.listen(engine.sync_engine, "commit", before_commit)
    sys.addaudithook(on_event)


async def _send(email: str, step: Step | None = None) -> JobRunner:
    collaborators = app.state.collaborators
    runner = JobRunner([], collaborators, database)
    async with database.sessions() as session:
        outbox = Outbox(JobRepository(session, database.tables), collaborators.encryption)
        await outbox.add_mail(Mail(email, "Hello", "A mail that must arrive."))
        await session.commit()
    if step is Step.COMMITTED:
        _die()
    if step is not None:
        runner.start()
        runner.hand_over(outbox.due)
    return runner


async def _send_first() -> None:
    """Compile all statements, which takes longer than the rest of a process."""
    runner = await _send(FIRST)
    await runner.join()
    await database.close()


async def _send_and_wait(email: str, step: Step) -> None:
    await _send(email, step)
    await asyncio.sleep(LIMIT_SECONDS)


def _fork(step: Step, email: str) -> int:
    process_id = os.fork()
    if process_id == 0:
        try:
            _die_at(step)
            asyncio.run(_send_and_wait(email, step))
        except BaseException:  # noqa: BLE001  # the process ends
            traceback.print_exc()
        finally:
            os._exit(1)
    return process_id


def _main() -> None:
    # The standard output is for the test, not for the log.
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    asyncio.run(_send_first())
    for line in sys.stdin:
        step, email = line.split()
        process_id = _fork(Step(step), email)
        print(process_id, file=replies, flush=True)
        _, status = os.waitpid(process_id, 0)
        print(os.waitstatus_to_exitcode(status), file=replies, flush=True)


if __name__ == "__main__":
    _main()
