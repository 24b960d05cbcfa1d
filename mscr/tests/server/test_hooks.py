"""Internals of uvicorn and httptools that the server relies on, beyond their documentation."""

import inspect
from typing import Any

import pytest
import uvicorn
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import Server, ServerState
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from mscr.server.draining import DrainingServer
from mscr.server.protocol import BoundedProtocol
from mscr.server.workers import Worker, Workers

HOOKS = [
    (
        BoundedProtocol,
        HttpToolsProtocol,
        """connection_made connection_lost data_received pause_writing resume_writing shutdown
        on_header on_headers_complete on_body on_message_complete""",
    ),
    (DrainingServer, Server, "startup shutdown handle_exit"),
    (Worker, Process, "server start is_alive"),
    (
        Workers,
        Multiprocess,
        "run init_processes restart_all keep_subprocess_alive handle_ttin handle_ttou",
    ),
]


@pytest.mark.parametrize(("ours", "theirs", "names"), HOOKS)
def test_each_overridden_method_exists_in_uvicorn(ours: type, theirs: type, names: str) -> None:
    for name in names.split():
        assert name in vars(ours)
        assert name in vars(theirs), f"uvicorn has no {theirs.__name__}.{name}"
        expected, actual = vars(theirs)[name], vars(ours)[name]
        if inspect.isfunction(expected):
            assert _parameters(actual) == _parameters(expected), f"{name} has other parameters"


def test_nothing_is_overridden_by_accident() -> None:
    for ours, theirs, names in HOOKS:
        common = {name for name in vars(ours) if name in vars(theirs)}
        assert {name for name in common if not name.startswith("__")} == set(names.split())


def _parameters(function: Any) -> list[str]:
    return [name.lstrip("_") for name in inspect.signature(function).parameters]


async def test_the_used_attributes_exist() -> None:
    config = Config("app:app", interface="asgi3", lifespan="off", log_config=None)
    config.loaded, config.loaded_app, config.ws_protocol_class = True, None, None
    protocol = HttpToolsProtocol(config, ServerState(), {})
    for name in ("pipeline", "cycle", "flow", "scope", "parser", "timeout_keep_alive_task"):
        assert hasattr(protocol, name), name
    fields = inspect.signature(RequestResponseCycle).parameters
    assert {"keep_alive", "expect_100_continue", "message_event"} <= fields.keys()
    supervisor = {*vars(Multiprocess), *inspect.getsource(Multiprocess.__init__).split()}
    assert {"handle_signals", "terminate_all", "self.signal_queue:", "self.should_exit"} <= (
        supervisor
    )


def test_uvicorn_is_pinned_to_the_minor_version_whose_hooks_are_used() -> None:
    assert uvicorn.__version__.startswith("0.54.")
