"""Failover among the hosts of a URL: connect to the first suitable one, each with a timeout."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final

from mscr.connections.diagnosis.types import Diagnosis, first_line

Connect = Callable[..., Awaitable[Any]]

# The server is starting up or shutting down.
_CANNOT_CONNECT_NOW: Final = "57P03"
# An unknown server setting, and an invalid value of one.
_UNKNOWN_OBJECT: Final = "42704"
_BAD_VALUE_CLASS: Final = "22"


class NoSuitableServerError(ConnectionError):
    """All servers respond, but none is of the kind that `target_session_attrs` requires."""

    def __init__(self, target: str) -> None:
        cause = f"no host is of the kind that target_session_attrs={target} requires"
        super().__init__(cause)
        self.diagnosis = Diagnosis(cause, "name such a host, or require another kind")


class RefusedOptionError(ConnectionError):
    """The server refuses a server setting of the URL."""

    def __init__(self, words: str) -> None:
        cause = f"the server refuses an option of the URL: {words}"
        super().__init__(cause)
        self.diagnosis = Diagnosis(cause, "correct the option, or remove it")


class ServerChoice:
    """Calls `connect` with one host after another, as libpq does.

    asyncpg has one timeout for all hosts together: an unresponsive host would use it up, and the
    next one would never be tried.

    Raises the error of the last unavailable host, or `NoSuitableServerError` if all responded.
    Raises `RefusedOptionError` for a refused server setting, which would otherwise look like the
    error of a statement.
    """

    def __init__(self, connect: Connect | None = None) -> None:
        """Without `connect`, `asyncpg.connect` is used."""
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
                    _raise_refused_option(error)
                    if not _may_do_elsewhere(error):
                        raise
                    if not _is_other_kind(error):
                        failed = error
        raise failed or NoSuitableServerError(target_session_attrs)


def _drivers_own() -> Connect:
    import asyncpg  # noqa: PLC0415  # not loaded for SQLite

    connect: Connect = asyncpg.connect
    return connect


def _targets(target: str) -> Sequence[str]:
    return ("standby", "any") if target == "prefer-standby" else (target,)


def _places(hosts: Sequence[str], ports: Sequence[int]) -> Iterator[dict[str, Any]]:
    if not hosts:
        yield {}
    for host, port in zip(hosts, ports, strict=True):
        yield {"host": host, "port": port}


def _raise_refused_option(error: Exception) -> None:
    sqlstate = getattr(error, "sqlstate", None) or ""
    if sqlstate == _UNKNOWN_OBJECT or sqlstate.startswith(_BAD_VALUE_CLASS):
        raise RefusedOptionError(first_line(str(error))) from error


def _may_do_elsewhere(error: Exception) -> bool:
    starts_or_stops = getattr(error, "sqlstate", None) == _CANNOT_CONNECT_NOW
    return isinstance(error, OSError) or _is_other_kind(error) or starts_or_stops


def _is_other_kind(error: Exception) -> bool:
    # Compared by name, as the class has no SQLSTATE: a standby where a primary was required.
    return type(error).__name__ == "TargetServerAttributeNotMatched"
