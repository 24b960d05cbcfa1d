"""Commands of the outbox: run jobs, and decide about dead ones."""
# ruff: noqa: PLC0415

import asyncio
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from mscr.cli.command_line import project_of
from mscr.cli.console import remark, say, say_json, say_table
from mscr.cli.database_sessions import open_session
from mscr.cli.faults import Fault, require_consent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from mscr.core.config import Settings
    from mscr.models.job import JobMixin
    from mscr.project import Project
    from mscr.repositories.job_repository import JobRepository

Job = Annotated[str | None, typer.Argument(metavar="ID", help="The job's id. Default: all dead.")]
Yes = Annotated[bool, typer.Option("--yes", help="Run in production too.")]

commands = typer.Typer()


@commands.command()
def worker(context: typer.Context) -> None:
    """Run jobs until SIGTERM or Ctrl-C, without serving requests."""
    project = project_of(context)
    settings = project.get_settings().model_copy(update={"JOBS_IN_PROCESS": True})
    asyncio.run(_work(project, settings))


async def _work(project: "Project", settings: "Settings") -> None:
    import structlog

    # A database that cannot be used ends the command with its cause, instead of a line each poll.
    await _list(project, dead=False, limit=1)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    app = project.create_app(settings)
    async with app.router.lifespan_context(app):
        structlog.get_logger(__name__).info("worker_started")
        await stopping.wait()


@commands.command("list-jobs")
def list_jobs(
    context: typer.Context,
    dead: Annotated[bool, typer.Option("--dead", help="Only dead ones.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Maximum number of jobs.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List jobs that wait, run, or are dead, the oldest first. Their data is not shown."""
    found = asyncio.run(_list(project_of(context), dead=dead, limit=limit))
    rows = [
        {
            "id": job.public_id,
            "name": job.name,
            "state": job.state.value,
            "attempts": job.attempts,
            "due": str(job.due_at),
            "fault": job.fault,
            "schedule": job.schedule,
        }
        for job in found
    ]
    if as_json:
        say_json(rows)
    elif rows:
        cells = ([str(value or "") for value in row.values()] for row in rows)
        say_table(list(rows[0]), cells)
    else:
        remark("no jobs")


async def _list(project: "Project", *, dead: bool, limit: int) -> "Sequence[JobMixin]":
    from mscr.repositories.job_repository import JobRepository

    async with open_session(project, read_only=True) as session:
        repo = JobRepository(session, project.tables())
        return await repo.list_oldest(only_dead=dead, limit=limit)


@commands.command("retry-jobs")
def retry_jobs(context: typer.Context, job: Job = None, yes: Yes = False) -> None:
    """Make dead jobs due again, for a day."""
    from mscr.models.base import utcnow
    from mscr.services.job_service import NEW_PATIENCE

    now = utcnow()
    count = _decide(
        context,
        job,
        lambda repo: repo.revive(now=now, until=now + NEW_PATIENCE, public_id=job),
        yes=yes,
    )
    say(f"{count} dead jobs are due again")


@commands.command("drop-jobs")
def drop_jobs(context: typer.Context, job: Job = None, yes: Yes = False) -> None:
    """Delete dead jobs."""
    count = _decide(context, job, lambda repo: repo.drop_dead(public_id=job), yes=yes)
    say(f"dropped {count} dead jobs")


def _decide(
    context: typer.Context,
    job: str | None,
    act: "Callable[[JobRepository], Awaitable[int]]",
    *,
    yes: bool,
) -> int:
    """Raise `Fault` if there is no dead job with this id."""
    project = project_of(context)
    require_consent(project.get_settings(), yes=yes)
    count = asyncio.run(_act(project, act))
    if job is not None and not count:
        raise Fault(f"no dead job has the id {job}", "list them: python cli.py list-jobs --dead")
    return count


async def _act(project: "Project", act: "Callable[[JobRepository], Awaitable[int]]") -> int:
    from mscr.repositories.job_repository import JobRepository

    async with open_session(project) as session:
        count = await act(JobRepository(session, project.tables()))
        await session.commit()
        return count
