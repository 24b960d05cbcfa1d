"""Adds jobs in the transaction of their cause (transactional outbox)."""

from collections.abc import Callable
from datetime import timedelta

from mscr.core.security.encryption import EncryptionService
from mscr.db.after_commit import after_commit
from mscr.jobs.job import DataType, Job
from mscr.jobs.mails import SEND_MAIL, MailData
from mscr.mail.message import Mail
from mscr.models.base import encryption_context, new_public_id, utcnow
from mscr.repositories.job_repository import JobRepository


class Outbox:
    """The jobs of one use case. They exist if its transaction commits, and run after it.

    `on_commit` is called after the commit of a transaction that has added jobs.
    """

    def __init__(
        self,
        repo: JobRepository,
        encryption: EncryptionService,
        *,
        request_id: str | None = None,
        trace_id: str | None = None,
        on_commit: Callable[[], None] | None = None,
    ) -> None:
        self._repo = repo
        self._encryption = encryption
        self._cause = {"request_id": request_id, "trace_id": trace_id}
        self._on_commit = on_commit
        self.due: list[str] = []
        """The ids of jobs without a delay, for `JobRunner.hand_over` after the commit."""

    async def add(
        self,
        job: Job[DataType],
        data: DataType,
        *,
        delay: timedelta = timedelta(0),
        patience: timedelta | None = None,
    ) -> str:
        """Add a job, and return its deduplication id. The calling service commits.

        It is first due after `delay`, and retried until `patience` has passed, by default the
        job's own. Raises `ValueError` for data that JSON cannot hold, such as `SecretStr`.
        """
        public_id = new_public_id()
        due_at = utcnow() + delay
        context = encryption_context(self._repo.model.data, public_id)
        await self._repo.create(
            public_id=public_id,
            name=job.name,
            data=self._encryption.encrypt(stored_data(job, data), context=context),
            due_at=due_at,
            gives_up_at=due_at + (job.patience if patience is None else patience),
            **self._cause,
        )
        if not delay:
            self.due.append(public_id)
        if self._on_commit is not None:
            after_commit(self._repo.session, self._on_commit)
        return public_id

    async def add_mail(self, mail: Mail, *, patience: timedelta | None = None) -> str:
        """Add the delivery of a mail. After `patience`, nobody would need it any more."""
        return await self.add(SEND_MAIL, MailData.of(mail), patience=patience)


def stored_data(job: Job[DataType], data: DataType) -> str:
    """Return the data as JSON. Raises `ValueError` for data that JSON cannot hold."""
    stored = data.model_dump_json(by_alias=True, round_trip=True)
    if job.data.model_validate_json(stored) != data:
        raise ValueError(f"the data of {job.name} change when stored: SecretStr, for instance")
    return stored
