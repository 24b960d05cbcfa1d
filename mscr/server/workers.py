"""uvicorn's supervisor of workers, with draining servers and no reset connections."""

import logging
import os
import signal
import socket
import time
from collections.abc import Sequence
from types import FrameType
from typing import Final

from uvicorn.config import STARTUP_FAILURE, Config
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from mscr.server.backlog import refuse_new
from mscr.server.draining import DrainingServer

POLL_SECONDS: Final = 0.05
HEALTH_CHECK_SECONDS: Final = 0.5
# A new worker that has not answered by then is replaced. If a replacement of SIGHUP is not ready by
# then, the old worker stays.
START_SECONDS: Final = 60
# Added to a worker's time to stop: it waits for the end of the drain and for the backlog.
KILL_MARGIN_SECONDS: Final = 3
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

log = logging.getLogger("uvicorn.error")


class Worker(Process):
    """A process with a draining server."""

    def __init__(self, config: Config, sockets: list[socket.socket], drain_seconds: float) -> None:
        self._drain_seconds = drain_seconds
        self._is_starting = True
        self._start_deadline = 0.0
        super().__init__(config, sockets)

    def start(self) -> None:
        self._start_deadline = time.monotonic() + START_SECONDS
        super().start()
        self.parent_conn.send(b"ping")

    def is_alive(self, timeout: float = 5) -> bool:
        """Return whether it runs and answers. Until its first answer, it has START_SECONDS.

        On a busy machine, importing the application may take longer than `timeout`. A worker that
        was replaced for it would never start, nor would its successors.
        """
        if self._is_starting and time.monotonic() < self._start_deadline:
            if self.parent_conn.poll():
                self.parent_conn.recv()
                self._is_starting = False
            return self.process.is_alive()
        return super().is_alive(timeout)

    @property
    def server(self) -> DrainingServer:
        if not isinstance(self._server, DrainingServer):
            seconds = self._drain_seconds
            self._server = DrainingServer(self.config, drain_seconds=seconds, is_worker=True)
        return self._server


class Workers(Multiprocess):
    """Starts, watches, replaces and stops workers.

    SIGHUP replaces them one by one, and SIGTERM stops all: each drains first. A second SIGTERM or
    SIGINT ends the drain. A worker that has not ended `stop_seconds` after the drain is killed.
    """

    def __init__(
        self,
        config: Config,
        sockets: list[socket.socket],
        *,
        drain_seconds: float,
        stop_seconds: float,
    ) -> None:
        super().__init__(config, sockets)
        self._drain_seconds = drain_seconds
        self._patience = drain_seconds + stop_seconds + KILL_MARGIN_SECONDS
        self._retiring: list[Process] = []
        self._stopping_since: float | None = None
        self.exit_status = 0
        for stop_signal in STOP_SIGNALS:
            signal.signal(stop_signal, self._on_stop_signal)

    def run(self) -> None:
        log.info("Started parent process [%d]", os.getpid())
        self.init_processes()
        checked_at = time.monotonic()
        while not self.should_exit.wait(POLL_SECONDS):
            self.handle_signals()
            if time.monotonic() - checked_at >= HEALTH_CHECK_SECONDS:
                self._retiring = _running(self._retiring)
                self.keep_subprocess_alive()
                checked_at = time.monotonic()
        self.terminate_all()
        self._await_end()
        log.info("Stopping parent process [%d]", os.getpid())

    def init_processes(self) -> None:
        self.processes += [self._start() for _ in range(self.processes_num)]

    def restart_all(self) -> None:
        for index, old in enumerate(self.processes):
            replacement = self._start()
            if not replacement.wait_until_ready(START_SECONDS, self.should_exit):
                replacement.kill()
                replacement.join()
                log.error("A new worker was not ready in time: keeping the old ones.")
                return
            self.processes[index] = replacement
            self._retire(old)

    def keep_subprocess_alive(self) -> None:
        for index, process in enumerate(self.processes):
            if process.is_alive(timeout=self.config.timeout_worker_healthcheck):
                continue
            process.kill()
            process.join()
            if process.exitcode == STARTUP_FAILURE:
                # The next one would fail in the same way.
                log.error("Worker [%s] failed to start: stopping.", process.pid)
                self.exit_status = STARTUP_FAILURE
                self.should_exit.set()
                return
            log.warning("Worker [%s] died", process.pid)
            self.processes[index] = self._start()

    def handle_ttin(self) -> None:
        self.processes_num += 1
        self.processes.append(self._start())

    def handle_ttou(self) -> None:
        if self.processes_num > 1:
            self.processes_num -= 1
            self._retire(self.processes.pop())

    def _start(self) -> Worker:
        worker = Worker(self.config, self.sockets, self._drain_seconds)
        worker.start()
        return worker

    def _retire(self, process: Process) -> None:
        process.terminate()
        self._retiring.append(process)

    def _on_stop_signal(self, sig: int, _frame: FrameType | None) -> None:
        self._stopping_since = self._stopping_since or time.monotonic()
        self.signal_queue.append(sig)

    def _await_end(self) -> None:
        """Refuse new connections after the drain, and wait for the workers to end."""
        began = self._stopping_since or time.monotonic()
        is_open = True
        remaining = self.processes + self._retiring
        while remaining := _running(remaining):
            is_hurried = self._hurry(remaining)
            if is_open and (is_hurried or time.monotonic() >= began + self._drain_seconds):
                refuse_new(self.sockets)
                is_open = False
            if time.monotonic() >= began + self._patience:
                _kill(remaining)
            time.sleep(POLL_SECONDS)

    def _hurry(self, workers: Sequence[Process]) -> bool:
        """Forward a second signal to the workers as SIGINT, which ends their drain."""
        is_hurried = any(sig in STOP_SIGNALS for sig in self.signal_queue)
        self.signal_queue.clear()
        if is_hurried:
            for pid in [worker.pid for worker in workers if worker.pid is not None]:
                os.kill(pid, signal.SIGINT)
        return is_hurried


def _running(processes: Sequence[Process]) -> list[Process]:
    return [process for process in processes if process.exitcode is None]


def _kill(workers: Sequence[Process]) -> None:
    for worker in workers:
        log.error("Worker [%s] did not stop in time: killed", worker.pid)
        worker.kill()
        worker.join()
