"""Commands that serve the application: `dev` for development, `serve` in production."""
# ruff: noqa: PLC0415

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mscr.cli.command_line import project_of
from mscr.cli.console import say, say_accounts
from mscr.cli.database import migrate, missing_from_schema
from mscr.cli.database_sessions import open_session
from mscr.cli.faults import REPAIR, Fault, listed

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    import uvicorn

    from mscr.core.config import Settings
    from mscr.project import Project
    from mscr.services.demo_accounts import DemoAccount

# Long enough for a current request. An endless stream must not delay a reload.
DEV_SHUTDOWN_SECONDS: Final = 2

# Descriptors for the log, the store of limits, mails and the interpreter.
DESCRIPTORS_BESIDE: Final = 100

commands = typer.Typer()


@commands.command()
def dev(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65_535, help="Port.")] = None,
) -> None:
    """Serve for development: prepare .env and the database, and reload when code changes."""
    project = project_of(context)
    host, port = _address(project, host, port)
    sockets = bind(host, port)
    try:
        settings, accounts = _prepare(project)
        port = sockets[0].getsockname()[1]
        _greet(project, f"http://{_in_url(host)}:{port}{settings.ROOT_PATH}", accounts)
        _serve_with_reload(project, sockets)
    except KeyboardInterrupt:
        raise typer.Exit from None


@commands.command()
def serve(context: typer.Context) -> None:
    """Serve in production, configured by the settings."""
    import uvicorn

    from mscr.core.logging import configure_logging

    project = project_of(context)
    settings = project.get_settings()
    sockets = bind(settings.HOST, settings.PORT)
    # The application configures the log too, but the server logs before it loads the application.
    configure_logging(settings)
    _allow_connections(settings)
    config = uvicorn.Config(
        project.application,
        workers=settings.WEB_CONCURRENCY,
        proxy_headers=False,  # the application reads them itself
        server_header=False,
        access_log=False,  # the application writes its own
        log_config=None,
        timeout_keep_alive=settings.KEEP_ALIVE_SECONDS,
        # uvicorn accepts fractions too, contrary to its annotation.
        timeout_graceful_shutdown=settings.request_grace.total_seconds(),  # type: ignore[arg-type]
        lifespan="on",
        **protocols(project, settings),
    )
    stop_seconds = settings.SHUTDOWN_TIMEOUT_SECONDS
    run(config, sockets, drain_seconds=settings.drain_seconds, stop_seconds=stop_seconds)


def bind(host: str, port: int) -> "list[socket.socket]":
    """Bind the sockets to listen on. Raises `Fault` if an address cannot be bound."""
    from mscr.server.listening import ListenError, bind_sockets

    try:
        return bind_sockets(host, port)
    except ListenError as error:
        raise Fault(error.detail, error.remedy) from error


def _allow_connections(settings: "Settings") -> None:
    """Raise the limit on file descriptors for MAX_CONNECTIONS and the pools. Workers inherit it."""
    from mscr.server.descriptors import allow_descriptors

    pools = 3 * settings.DATABASE_POOL_SIZE
    allow_descriptors(settings.MAX_CONNECTIONS + pools + DESCRIPTORS_BESIDE)


def protocols(project: "Project", settings: "Settings") -> dict[str, Any]:
    """Return uvicorn's options for protocols: HTTP/1.1 with limits, and no WebSockets."""
    from functools import partial

    from mscr.http.middleware import MAX_HEADER_BYTES
    from mscr.http.refusals import Refusals
    from mscr.server.limits import Limits
    from mscr.server.protocol import BoundedProtocol

    limits = Limits(
        connections=settings.MAX_CONNECTIONS,
        head_bytes=MAX_HEADER_BYTES,
        head_seconds=settings.HTTP_HEADER_TIMEOUT_SECONDS,
        body_seconds=settings.HTTP_BODY_TIMEOUT_SECONDS,
    )
    answer = Refusals(
        settings.CORS_ORIGINS,
        credentials=settings.refresh_token_in_cookie,
        dialect=project.dialect(),
        root_path=settings.ROOT_PATH,
    )
    return {"http": partial(BoundedProtocol, limits=limits, answer=answer), "ws": "none"}


def run(
    config: "uvicorn.Config",
    sockets: "list[socket.socket]",
    *,
    drain_seconds: float = 0,
    stop_seconds: float = DEV_SHUTDOWN_SECONDS,
) -> None:
    """Serve on these sockets until the process gets a signal to stop, as `uvicorn.run` does.

    Given a host and a port, uvicorn would bind inconsistently: `::` means only IPv6 with one
    worker, and both families with several.
    """
    from uvicorn.supervisors import ChangeReload

    from mscr.server.draining import DrainingServer, stop_on_hangup
    from mscr.server.listening import urls_of
    from mscr.server.workers import Workers

    logging.getLogger("uvicorn.error").info("Listening on %s", ", ".join(urls_of(sockets)))
    is_shared = config.should_reload
    server = DrainingServer(config, drain_seconds=drain_seconds, is_worker=is_shared)
    if is_shared:
        ChangeReload(config, target=server.run, sockets=sockets).run()
    elif config.workers > 1:
        workers = Workers(config, sockets, drain_seconds=drain_seconds, stop_seconds=stop_seconds)
        workers.run()
        raise typer.Exit(workers.exit_status)
    else:
        stop_on_hangup()
        with suppress(KeyboardInterrupt):
            server.run(sockets=sockets)


def _address(project: "Project", host: str | None, port: int | None) -> tuple[str, int]:
    """Return host and port from the options, the environment, .env or the settings' defaults."""
    from mscr.cli.env_file import configured

    defaults = project.settings.model_fields
    host = host or configured("HOST", project) or str(defaults["HOST"].default)
    text = str(port or configured("PORT", project) or defaults["PORT"].default)
    if not text.isdecimal():
        raise Fault(f"PORT must be a number, not {text!r}")
    return host, int(text)


def _prepare(project: "Project") -> "tuple[Settings, Sequence[DemoAccount]]":
    """Add missing secrets, migrations and demo data. Return the accounts that were created."""
    from mscr.cli.env_file import add_missing_secrets, configured, env_file
    from mscr.core.settings_fields import Environment

    if configured("ENVIRONMENT", project) == Environment.PRODUCTION.value:
        raise Fault("ENVIRONMENT is production, and this is for development", "use: cli.py serve")
    file = env_file(project)
    if added := add_missing_secrets(file, project.settings):
        say(f"generated {' and '.join(added)} in {file}, which only you can read")
    settings = project.get_settings()
    for migration in migrate(project):
        say(f"applied {migration}")
    if missing := asyncio.run(missing_from_schema(project)):
        # A warning only: developers often write a migration while the application runs.
        say(f"warning: requests will fail, as {listed(missing)}; {REPAIR}")
    if settings.ENVIRONMENT is not Environment.DEVELOPMENT:
        return settings, []
    return settings, asyncio.run(_seed_when_empty(project))


async def _seed_when_empty(project: "Project") -> "Sequence[DemoAccount]":
    """Add demo data to a database that never had a user. Return its accounts."""
    from mscr.repositories.account_repository import AccountRepository

    async with open_session(project, read_only=True) as session:
        users = AccountRepository(project.tables().user, session)
        is_empty = not await users.exists(include_deleted=True)
    return await project.add_demo_data("dev") if is_empty else []


def _greet(project: "Project", url: str, accounts: "Sequence[DemoAccount]") -> None:
    say(f"\nAPI     {url}")
    settings = project.get_settings()
    if settings.DOCS_ENABLED:
        say(f"Docs    {url}{settings.DOCS_PATH_PREFIX}/docs")
    if accounts:
        say("Log in  with one of these; their passwords are shown only now")
        say_accounts(accounts)
    else:
        say("Log in  with your account; to create one: python cli.py create-user")
        say(f"        to reset the password: python cli.py set-password {project.administrator()}")
    say("Stop    with Ctrl-C\n")


def _serve_with_reload(project: "Project", sockets: "list[socket.socket]") -> None:
    import uvicorn

    from mscr.core.logging import configure_logging

    settings = project.get_settings()
    configure_logging(settings)
    # watchfiles logs every change of any file; uvicorn logs the reloads.
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    config = uvicorn.Config(
        project.application,
        reload=True,
        reload_dirs=[str(project.folder)],
        proxy_headers=False,  # the application reads them itself
        server_header=False,
        access_log=False,  # the application writes its own
        log_config=None,
        timeout_graceful_shutdown=DEV_SHUTDOWN_SECONDS,
        lifespan="on",
        **protocols(project, settings),
    )
    run(config, sockets)


def _in_url(host: str) -> str:
    if host in {"0.0.0.0", "::"}:  # noqa: S104  # listening on all addresses includes this one
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
