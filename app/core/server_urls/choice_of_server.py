"""Connect to the first of several servers that will do, each with a time limit of its own."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final

Connect = Callable[..., Awaitable[Any]]

# The database system is starting up or shutting down.
_CANNOT_CONNECT_NOW: Final = "57P03"


class NoSuitableServerError(ConnectionError):
    """All servers answer, and none is of the kind that `target_session_attrs` asks for."""


class ServerChoice:
    """Calls `connect` with one host after another, as libpq does.

    asyncpg has one time limit for all hosts together: a silent one would use it up, and the next
    one would never be tried. Raises the last host's error, or `NoSuitableServerError`.
    """

    def __init__(self, connect: Connect | None = None) -> None:
        """Without `connect`, asyncpg's own is used."""
        self._connect = connect

    async def __call__(
        self,
        *,
        host: Sequence[str] = (),
        port: Sequence[int] = (),
        target_session_attrs: str = "any",
        **arguments: Any,
    ) -> Any:
        connect = self._connect or _drivers_own()
        failed: Exception | None = None
        for target in _targets(target_session_attrs):
            for place in _places(host, port):
                try:
                    return await connect(**place, target_session_attrs=target, **arguments)
                except Exception as error:
                    if not _may_do_elsewhere(error):
                        raise
                    failed = error
        if isinstance(failed, OSError):
            raise failed
        raise NoSuitableServerError(
            f"no host is of the kind that target_session_attrs={target_session_attrs} asks for"
        ) from failed


def _drivers_own() -> Connect:
    import asyncpg  # noqa: PLC0415  # who runs on SQLite need not load it

    connect: Connect = asyncpg.connect
    return connect


def _targets(target: str) -> Sequence[str]:
    return ("standby", "any") if target == "prefer-standby" else (target,)


def _places(hosts: Sequence[str], ports: Sequence[int]) -> Iterator[dict[str, Any]]:
    if not hosts:
        yield {}
    for host, port in zip(hosts, ports, strict=True):
        yield {"host": host, "port": port}


def _may_do_elsewhere(error: Exception) -> bool:
    # By its name, as the class has no SQLSTATE: a standby where a primary was asked for.
    is_other_kind = type(error).__name__ == "TargetServerAttributeNotMatched"
    starts_or_stops = getattr(error, "sqlstate", None) == _CANNOT_CONNECT_NOW
    return isinstance(error, OSError) or is_other_kind or starts_or_stops
