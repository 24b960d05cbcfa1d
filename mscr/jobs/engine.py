"""Hands the ids of jobs to workers on other machines: TaskIQ on Valkey Streams (JOBS_ENGINE_URL).

The row of the outbox stays the truth. A message only says which row to claim: one that is lost
costs time, until the next search for jobs, and one that comes twice finds nothing to claim.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog
from taskiq.acks import AcknowledgeType
from taskiq.exceptions import SendTaskError
from taskiq.receiver import Receiver
from taskiq_redis import RedisStreamBroker

from mscr.connections.backing_services import ENGINE, log_fields
from mscr.core.shutdown import end_tasks

if TYPE_CHECKING:
    from taskiq import AsyncTaskiqDecoratedTask

log = structlog.get_logger(__name__)

STREAM: Final = "mscr:jobs"
TASK: Final = "mscr.run_job"
# TaskIQ acknowledges messages and never deletes them: without a bound, the store fills up.
LONGEST_STREAM: Final = 10_000
# Shutdown waits so long for a blocking read.
BLOCKING_TIME: Final = timedelta(milliseconds=500)
# A worker that is killed while it holds this lock would keep all others from its messages.
LOCKED_TIME: Final = timedelta(seconds=10)
# TaskIQ itself would try again at once, and log each time.
PAUSE: Final = timedelta(seconds=5)
SENDING_TIME: Final = timedelta(seconds=2)

# Its lines have no fields, and the runner logs each job.
logging.getLogger("taskiq").setLevel(logging.ERROR)


class Engine:
    """Sends ids of jobs and, after `receive`, runs the jobs of ids that it gets."""

    def __init__(
        self, url: str, run: Callable[[str], Awaitable[None]], *, slots: int, lease: timedelta
    ) -> None:
        """`run` gets an id. It connects on first use."""
        self._slots = slots
        self._broker = RedisStreamBroker(
            url,
            queue_name=STREAM,
            consumer_group_name=STREAM,
            # Messages from before the first worker, too.
            consumer_id="0",
            # More would wait in the process that read them first, although others are idle.
            xread_count=1,
            xread_block=int(BLOCKING_TIME.total_seconds() * 1000),
            maxlen=LONGEST_STREAM,
            # Earlier, the job of a living worker would be delivered again.
            idle_timeout=int(lease.total_seconds() * 1000),
            unacknowledged_lock_timeout=LOCKED_TIME.total_seconds(),
        )

        async def run_job(job_id: str) -> None:
            await run(job_id)

        self._task: AsyncTaskiqDecoratedTask[[str], Awaitable[None]]
        self._task = self._broker.register_task(run_job, task_name=TASK)
        self._sending: set[asyncio.Task[None]] = set()
        self._receiving: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def send(self, ids: Collection[str]) -> None:
        """Send ids soon. Failures are logged: the search for jobs finds these, too."""
        sending = asyncio.create_task(self._send([*ids]))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)

    def receive(self) -> None:
        """Run the jobs of ids from now on. A start needs no store."""
        self._receiving = asyncio.create_task(self._receive())

    def stop(self) -> None:
        """Take no further ids. Those whose jobs run are acknowledged when these end."""
        self._closing.set()

    async def close(self, *, until: float) -> None:
        """End sending and receiving until a time of the event loop's clock, and disconnect."""
        self.stop()
        # Before the end of the connections: a task that is not ended would connect again.
        tasks = {*self._sending, *filter(None, [self._receiving])}
        await end_tasks(tasks, until, what="engine of jobs")
        await self._broker.shutdown()

    async def _send(self, ids: Collection[str]) -> None:
        try:
            for job_id in ids:
                async with asyncio.timeout(SENDING_TIME.total_seconds()):
                    await self._task.kiq(job_id)
        except Exception as error:  # noqa: BLE001  # the search for jobs finds these, too
            cause = error.__cause__ if isinstance(error, SendTaskError) else error
            log.warning("jobs_not_sent", **log_fields(cause or error, ENGINE))

    async def _receive(self) -> None:
        while not self._closing.is_set():
            receiver = Receiver(
                self._broker,
                max_async_tasks=self._slots,
                ack_type=AcknowledgeType.WHEN_EXECUTED,
            )
            try:
                # Creates the group of consumers, too: a store that was restarted has none.
                await receiver.listen(self._closing)
            except Exception as error:  # noqa: BLE001  # tried again
                log.warning("jobs_not_received", **log_fields(_first(error), ENGINE))
                await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(PAUSE.total_seconds()):
                await self._closing.wait()
        except TimeoutError:
            pass


def _first(error: BaseException) -> BaseException:
    """Return the error of a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
