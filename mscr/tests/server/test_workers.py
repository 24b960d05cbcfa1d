"""The supervisor of workers, run in a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from uvicorn import Config

from mscr.server.workers import START_SECONDS, Worker, Workers
from mscr.tests.server.serving import request
from mscr.tests.server.test_draining import config

TARGET = "mscr.tests.server.supervised:application"
PATIENCE_SECONDS = 60

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")


class Supervised:
    """The supervisor's process, and the events that its workers have reported."""

    def __init__(self, drain: float, target: str) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - the test's own command
            [sys.executable, "-m", "mscr.tests.server.supervised", str(drain), target],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.events: list[tuple[str, int]] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.wait_for("port")
        self.port = next(number for name, number in self.events if name == "port")

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            name, _, number = line.rpartition(" ")
            with self._changed:
                self.events.append((name, int(number)))
                self._changed.notify_all()

    def count(self, event: str) -> int:
        return Counter(name for name, _ in self.events)[event]

    def wait_for(self, event: str, times: int = 1) -> None:
        with self._changed:
            arrived = self._changed.wait_for(lambda: self.count(event) >= times, PATIENCE_SECONDS)
        assert arrived, self.events

    def pids(self) -> list[int]:
        return [number for name, number in self.events if name == "lifespan.startup"]

    def ask(self) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as client:
            client.sendall(request(b"GET /"))
            return client.recv(15)

    def stop(self, sent: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(sent)
        return self.wait()

    def wait(self) -> int:
        status = self.process.wait(PATIENCE_SECONDS)
        self._reader.join()
        return status


@contextmanager
def supervised(*, drain: float = 0, target: str = TARGET) -> Iterator[Supervised]:
    running = Supervised(drain, target)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.wait()
        assert running.process.stdout is not None
        running.process.stdout.close()


def test_workers_are_replaced_added_and_removed_while_the_port_answers() -> None:
    with supervised() as running:
        running.wait_for("lifespan.startup", 2)
        os.kill(running.pids()[0], signal.SIGKILL)
        running.wait_for("lifespan.startup", 3)
        # Two new workers are ready before the two old ones leave.
        running.process.send_signal(signal.SIGHUP)
        running.wait_for("lifespan.shutdown", 2)
        assert running.count("lifespan.startup") == 5
        assert running.ask() == b"HTTP/1.1 200 OK"
        running.process.send_signal(signal.SIGTTIN)
        running.wait_for("lifespan.startup", 6)
        running.process.send_signal(signal.SIGTTOU)
        running.wait_for("lifespan.shutdown", 3)
        running.process.send_signal(signal.SIGTTOU)
        running.wait_for("lifespan.shutdown", 4)
        # The last worker stays.
        running.process.send_signal(signal.SIGTTOU)
        assert running.ask() == b"HTTP/1.1 200 OK"
        assert running.stop() == 0

    assert running.count("lifespan.shutdown") == 5


def stop(worker: Worker) -> None:
    """Stop the process, and wait until it is: until then it can still answer."""
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, worker.pid, os.WSTOPPED)


@pytest.fixture
def stopped_worker() -> Iterator[Worker]:
    """Yield a new worker that cannot answer, because its process is stopped."""
    worker = Worker(Config(TARGET, log_config=None), [], drain_seconds=0)
    worker.start()
    stop(worker)
    yield worker
    worker.kill()
    worker.join()


def test_a_worker_that_starts_slowly_is_not_replaced(stopped_worker: Worker) -> None:
    assert stopped_worker.is_alive(timeout=0)


def test_a_worker_that_does_not_start_is_replaced(
    stopped_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: now() + START_SECONDS)

    assert not stopped_worker.is_alive(timeout=0)


def test_a_worker_that_hangs_after_its_start_is_replaced(stopped_worker: Worker) -> None:
    assert stopped_worker.pid is not None
    os.kill(stopped_worker.pid, signal.SIGCONT)
    assert stopped_worker.parent_conn.poll(PATIENCE_SECONDS)
    assert stopped_worker.is_alive(timeout=0)
    assert stopped_worker.is_alive(timeout=PATIENCE_SECONDS)
    stop(stopped_worker)

    assert not stopped_worker.is_alive(timeout=0)


def test_a_second_signal_ends_the_drain_of_all_workers() -> None:
    with supervised(drain=60) as running:
        running.wait_for("lifespan.startup", 2)
        running.process.send_signal(signal.SIGTERM)
        while b"close" not in _whole_answer(running.port):
            pass
        assert running.stop() == 0


def test_a_worker_that_does_not_stop_is_killed() -> None:
    with supervised() as running:
        running.wait_for("lifespan.startup", 2)
        os.kill(running.pids()[0], signal.SIGSTOP)
        assert running.stop() == 0

    assert running.count("lifespan.shutdown") == 1


def test_the_command_exits_with_the_status_of_workers_that_cannot_start() -> None:
    with supervised(target="nowhere:application") as running:
        assert running.wait() == 3


def _whole_answer(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(request(b"GET /"))
        return client.recv(1000)


def test_a_replacement_that_is_not_ready_leaves_the_old_worker(
    caplog: pytest.LogCaptureFixture,
) -> None:
    handlers = {each: signal.getsignal(each) for each in signal.Signals}
    try:
        workers = Workers(config(), [], drain_seconds=0, stop_seconds=0)
        old = workers._start()
        workers.processes = [old]
        # As when the command is stopped meanwhile.
        workers.should_exit.set()
        workers.restart_all()
        assert workers.processes == [old]
        old.kill()
        old.join()
    finally:
        for each, handler in handlers.items():
            if signal.getsignal(each) is not handler:
                signal.signal(each, handler)

    assert "not ready in time" in caplog.text
