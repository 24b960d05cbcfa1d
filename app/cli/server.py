"""Serving: `dev` on one's own machine, `serve` in production."""
# ruff: noqa: PLC0415

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from app.cli.console import say
from app.cli.database import migrate
from app.cli.faults import Fault
from app.cli.seeding import add_demo_data, say_accounts
from app.cli.sessions import open_session

if TYPE_CHECKING:
    import socket

    import uvicorn

    from app.core.config import Settings
    from app.db.init_db import DemoAccount

APPLICATION: Final = "app.main:app"
# Long enough for a request at hand; a stream that never ends must not hold up a reload.
DEV_SHUTDOWN_SECONDS: Final = 2

# For the log, the store of limits, mails and the interpreter.
DESCRIPTORS_BESIDE: Final = 100

commands = typer.Typer()


@commands.command()
def dev(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65_535, help="Port.")] = None,
) -> None:
    """Serve for development: prepares .env and the database, and reloads when code changes."""
    host, port = _address(host, port)
    sockets = bind(host, port)
    try:
        settings, accounts = _prepare()
        port = sockets[0].getsockname()[1]
        _greet(settings, f"http://{_in_url(host)}:{port}{settings.ROOT_PATH}", accounts)
        _serve_with_reload(settings, sockets)
    except KeyboardInterrupt:
        raise typer.Exit from None


@commands.command()
def serve() -> None:
    """Serve in production, as the settings say."""
    import uvicorn

    from app.core.config import get_settings
    from app.core.logging import configure_logging

    settings = get_settings()
    sockets = bind(settings.HOST, settings.PORT)
    # Here too, and not only in the application: for what the server says before it starts that.
    configure_logging(settings)
    _allow_connections(settings)
    config = uvicorn.Config(
        APPLICATION,
        workers=settings.WEB_CONCURRENCY,
        proxy_headers=False,  # the application reads them itself
        server_header=False,
        access_log=False,  # the application writes its own
        log_config=None,
        timeout_keep_alive=settings.KEEP_ALIVE_SECONDS,
        # uvicorn takes fractions too, whatever its annotation says.
        timeout_graceful_shutdown=settings.request_grace.total_seconds(),  # type: ignore[arg-type]
        lifespan="on",
        **protocols(settings),
    )
    stop_seconds = settings.SHUTDOWN_TIMEOUT_SECONDS
    run(config, sockets, drain_seconds=settings.drain_seconds, stop_seconds=stop_seconds)


def bind(host: str, port: int) -> "list[socket.socket]":
    """Bind the sockets to listen on. Raises `Fault` when nothing can listen there."""
    from app.core.listening import ListenError, bind_sockets

    try:
        return bind_sockets(host, port)
    except ListenError as error:
        raise Fault(error.detail, error.remedy) from error


def _allow_connections(settings: "Settings") -> None:
    """Allow as many file descriptors as MAX_CONNECTIONS and the pools need; workers inherit it."""
    from app.server.descriptors import allow_descriptors

    pools = 3 * settings.DATABASE_POOL_SIZE
    allow_descriptors(settings.MAX_CONNECTIONS + pools + DESCRIPTORS_BESIDE)


def protocols(settings: "Settings") -> dict[str, Any]:
    """Return uvicorn's options: HTTP/1.1 within bounds, and nothing else."""
    from functools import partial

    from app.core.middleware import MAX_HEADER_BYTES
    from app.core.refusals import Refusals
    from app.server.limits import Limits
    from app.server.protocol import BoundedProtocol

    limits = Limits(
        connections=settings.MAX_CONNECTIONS,
        head_bytes=MAX_HEADER_BYTES,
        head_seconds=settings.HTTP_HEADER_TIMEOUT_SECONDS,
        body_seconds=settings.HTTP_BODY_TIMEOUT_SECONDS,
    )
    answer = Refusals(settings.CORS_ORIGINS, credentials=settings.refresh_token_in_cookie)
    return {"http": partial(BoundedProtocol, limits=limits, answer=answer), "ws": "none"}


def run(
    config: "uvicorn.Config",
    sockets: "list[socket.socket]",
    *,
    drain_seconds: float = 0,
    stop_seconds: float = DEV_SHUTDOWN_SECONDS,
) -> None:
    """Serve on these sockets until the process is told to stop, as `uvicorn.run` does.

    With a host and a port, uvicorn would bind them itself: `::` means IPv6 alone with one worker,
    and both families with several.
    """
    from uvicorn.supervisors import ChangeReload

    from app.core.listening import urls_of
    from app.server.draining import DrainingServer, stop_on_hangup
    from app.server.workers import Workers

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


def _address(host: str | None, port: int | None) -> tuple[str, int]:
    """The options, else the environment, else .env, else the defaults of the settings."""
    from app.cli.env_file import configured
    from app.core.config import Settings

    defaults = Settings.model_fields
    host = host or configured("HOST") or str(defaults["HOST"].default)
    text = str(port or configured("PORT") or defaults["PORT"].default)
    if not text.isdecimal():
        raise Fault(f"PORT must be a number, not {text!r}")
    return host, int(text)


def _prepare() -> "tuple[Settings, list[DemoAccount]]":
    """Secrets, schema, demo data: what is missing of them. Returns the accounts it made."""
    from app.cli.env_file import add_missing_secrets, configured, env_file
    from app.core.config import Environment, get_settings

    if configured("ENVIRONMENT") == Environment.PRODUCTION.value:
        raise Fault("ENVIRONMENT is production, and this is for development", "use: cli.py serve")
    if added := add_missing_secrets(env_file()):
        say(f"generated {' and '.join(added)} in {env_file()}, which only you can read")
    settings = get_settings()
    for migration in migrate():
        say(f"applied {migration}")
    return settings, asyncio.run(_seed_when_empty(settings))


async def _seed_when_empty(settings: "Settings") -> "list[DemoAccount]":
    from app.core.config import Environment
    from app.db.init_db import is_empty

    async with open_session(read_only=True) as session:
        empty = await is_empty(session)
    if empty and settings.ENVIRONMENT is Environment.DEVELOPMENT:
        return await add_demo_data(settings, command="dev")
    return []


def _greet(settings: "Settings", url: str, accounts: "list[DemoAccount]") -> None:
    from app.db.init_db import ADMIN_EMAIL

    say(f"\nAPI     {url}")
    if settings.DOCS_ENABLED:
        say(f"Docs    {url}/docs")
    if accounts:
        say("Log in  with one of these; their passwords are shown only now")
        say_accounts(accounts)
    else:
        say("Log in  with your account; to make one: python cli.py create-user")
        say(f"        for a new password: python cli.py set-password {ADMIN_EMAIL}")
    say("Stop    with Ctrl-C\n")


def _serve_with_reload(settings: "Settings", sockets: "list[socket.socket]") -> None:
    import uvicorn

    from app.core.config import PROJECT_ROOT
    from app.core.logging import configure_logging

    configure_logging(settings)
    # It counts whatever is written, also by other programs; what is reloaded uvicorn tells.
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    config = uvicorn.Config(
        APPLICATION,
        reload=True,
        reload_dirs=[str(PROJECT_ROOT / "app")],
        proxy_headers=False,  # the application reads them itself
        server_header=False,
        access_log=False,  # the application writes its own
        log_config=None,
        timeout_graceful_shutdown=DEV_SHUTDOWN_SECONDS,
        lifespan="on",
        **protocols(settings),
    )
    run(config, sockets)


def _in_url(host: str) -> str:
    if host in {"0.0.0.0", "::"}:  # noqa: S104  # where it listens on all, this one surely is
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
