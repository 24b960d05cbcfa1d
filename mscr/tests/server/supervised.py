"""A program: two workers with a small application. Its arguments are the drain and the target."""

import os
import socket
import sys
from functools import partial
from typing import Any

from uvicorn import Config

from mscr.server.protocol import BoundedProtocol
from mscr.server.workers import Workers


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while True:
            event = (await receive())["type"]
            # Unbuffered, so that the lines of two workers do not mix.
            os.write(1, f"{event} {os.getpid()}\n".encode())
            await send({"type": event + ".complete"})
            if event == "lifespan.shutdown":
                return
    length = (b"content-length", b"2")
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": b"ok"})


def main(drain: str, target: str) -> int:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.set_inheritable(True)
    config = Config(
        target,
        workers=2,
        http=partial(BoundedProtocol),  # type: ignore[arg-type]  # called as the class would be
        ws="none",
        lifespan="on",
        log_config=None,
    )
    os.write(1, f"port {listener.getsockname()[1]}\n".encode())
    workers = Workers(config, [listener], drain_seconds=float(drain), stop_seconds=1)
    workers.run()
    return workers.exit_status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
