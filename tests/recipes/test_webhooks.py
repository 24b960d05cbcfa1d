"""docs/webhooks.md: its recipe, followed literally in a copy of the project."""

from typing import Final

import pytest

from app.core.config import PROJECT_ROOT
from mscr.testing.postgres import PostgresServer
from tests.docs.markdown import code_blocks
from tests.docs.project_copy import ProjectCopy
from tests.docs.recipe import skip_if_taken, type_block

BLOCKS = code_blocks(PROJECT_ROOT / "docs/webhooks.md")
INSTALLED: Final = "        dialect=DIALECT,\n"
MORE: Final = '''
import base64
import shutil
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from app.core.exceptions import ValidationFailedError
from app.models import Job, Webhook
from app.models.base import utcnow
from app.repositories.user_repository import UserRepository
from app.repositories.webhook_repository import WebhookRepository
from app.services.webhook_jobs import SEND_WEBHOOK
from app.services.webhook_service import ROTATION, WebhookService
from app.services.webhook_signature import signed_headers
from mscr.connections.public_client import PublicClient
from mscr.jobs.outbox import Outbox
from mscr.jobs.runner import JobRunner
from mscr.repositories.job_repository import JobRepository
from mscr.testing.http_receiver import http_receiver

pytestmark = pytest.mark.settings(JOBS_IN_PROCESS=False)


class Sender:
    """A user with a receiver, and the runner of the calls."""

    def __init__(self, app, database, session, client):
        self.parts = replace(app.state.collaborators, public_client=client)
        self.database, self.session = database, session
        self.runner = JobRunner([SEND_WEBHOOK], self.parts, database)
        self.service = WebhookService(
            WebhookRepository(session),
            Outbox(JobRepository(session, database.tables), self.parts.encryption),
            encryption=self.parts.encryption,
            client=client,
        )

    async def add(self, api, url):
        account = await api.register()
        owner = await UserRepository(self.session).get_by_public_id(account.public_id)
        self.owner_id = owner.id
        self.webhook, secret = await self.service.add(owner.id, url)
        return secret

    async def announce(self):
        await self.service.announce(self.owner_id, "item.archived", {"title": "A lamp"})
        await self.service.webhook_repo.commit()
        await self.runner.join()

    async def repeat(self):
        """Make the job due now, and run it."""
        async with self.database.sessions() as session:
            await session.execute(update(Job).values(due_at=utcnow()))
            await session.commit()
        await self.runner.join()

    async def jobs(self):
        async with self.database.sessions() as session:
            found = await session.execute(select(Job.attempts, Job.fault, Job.dead_at))
            return [(row.attempts, row.fault, row.dead_at is not None) for row in found]


@pytest.fixture
async def receiver():
    async with http_receiver() as found:
        yield found


@pytest.fixture
async def session(database):
    async with database.sessions() as found:
        yield found


@pytest.fixture
def sender(app, database, session):
    return Sender(app, database, session, PublicClient(accept_loopback=True))


def url_of(receiver):
    return f"http://127.0.0.1:{receiver.port}/hook"


def verified(call, secret):
    """Compute the signature by OpenSSL, and return whether the call has it."""
    content = f"{call.headers['webhook-id']}.{call.headers['webhook-timestamp']}.".encode()
    key = base64.b64decode(secret.removeprefix("whsec_")).hex()
    command = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key}", "-binary"]
    digest = subprocess.run(command, input=content + call.body, capture_output=True, check=True)
    signature = f"v1,{base64.b64encode(digest.stdout).decode()}"
    return signature in call.headers["webhook-signature"].split(" ")


def test_the_signature_is_that_of_the_specification():
    """The example of Standard Webhooks' libraries."""
    headers = signed_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-signature"] == expected


@pytest.mark.parametrize("status", [500, 503, 404, 302])
async def test_a_failed_call_is_repeated_with_the_same_id(api, sender, receiver, status):
    secret = await sender.add(api, url_of(receiver))
    receiver.answers = [status]
    await sender.announce()
    assert await sender.jobs() == [(1, "WebhookError", False)]

    await sender.repeat()

    first, second = receiver.received
    assert await sender.jobs() == []
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert verified(first, secret) and verified(second, secret)


async def test_a_server_that_is_away_is_called_again(api, sender):
    async with http_receiver() as receiver:
        url = url_of(receiver)
    await sender.add(api, url)
    await sender.announce()
    assert await sender.jobs() == [(1, "ConnectError", False)]

    async with http_receiver(port=receiver.port) as receiver:
        await sender.repeat()

    assert (len(receiver.received), await sender.jobs()) == (1, [])


async def test_a_receiver_that_is_gone_is_removed(api, sender, receiver):
    await sender.add(api, url_of(receiver))
    receiver.answers = [410]
    await sender.announce()
    await sender.announce()

    assert (len(receiver.received), await sender.jobs()) == (1, [])
    assert await sender.service.webhook_repo.list_of(sender.owner_id) == []


async def test_the_calls_of_a_removed_receiver_end(api, sender, receiver):
    await sender.add(api, url_of(receiver))
    await sender.service.announce(sender.owner_id, "item.archived", {})
    await sender.service.webhook_repo.soft_delete(sender.webhook)
    await sender.service.webhook_repo.commit()
    await sender.runner.join()

    assert (receiver.received, await sender.jobs()) == ([], [])


async def test_a_rolled_back_event_sends_nothing(api, sender, receiver):
    await sender.add(api, url_of(receiver))
    await sender.service.announce(sender.owner_id, "item.archived", {})
    await sender.session.rollback()
    await sender.runner.join()

    assert (receiver.received, await sender.jobs()) == ([], [])


async def test_after_a_rotation_both_secrets_sign_for_a_while(api, sender, receiver):
    old = await sender.add(api, url_of(receiver))
    new = await sender.service.rotate(sender.webhook)
    await sender.announce()
    sender.webhook.previous_until = utcnow() - timedelta(seconds=1)
    await sender.session.commit()
    await sender.announce()

    both, one = receiver.received
    assert [verified(both, each) for each in (new, old)] == [True, True]
    assert [verified(one, each) for each in (new, old)] == [True, False]
    assert both.headers["webhook-signature"].count("v1,") == 2


async def test_secrets_are_encrypted(api, sender, receiver):
    old = await sender.add(api, url_of(receiver))
    new = await sender.service.rotate(sender.webhook)

    stored = str([*(await sender.session.execute(text("SELECT * FROM webhooks")))])
    assert url_of(receiver) in stored
    assert old[6:30] not in stored and new[6:30] not in stored


async def test_an_internal_url_is_not_requested(api, app, database, session, receiver):
    """With the client of production: the job is dead at once."""
    sender = Sender(app, database, session, app.state.collaborators.public_client)
    with pytest.raises(ValidationFailedError):
        await sender.add(api, url_of(receiver))
    await session.rollback()
    await sender.add(api, "https://localhost:8443/hook")
    await sender.announce()

    assert await sender.jobs() == [(1, "JobRefusedError", True)]
    assert receiver.connections == 0


async def test_a_redirect_to_this_machine_is_not_followed(api, sender, receiver):
    async with http_receiver() as internal:
        await sender.add(api, url_of(receiver))
        location = f"location: {url_of(internal)}".encode()
        head = b"HTTP/1.1 307 Any\\r\\n" + location
        receiver.answers = [head + b"\\r\\ncontent-length: 0\\r\\n\\r\\n"]
        await sender.announce()

    assert (receiver.connections, internal.connections) == (1, 0)
    assert await sender.jobs() == [(1, "WebhookError", False)]
'''


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    """Return a copy of the project in which the page was followed, including its commands."""
    skip_if_taken(BLOCKS, PROJECT_ROOT)
    copy = ProjectCopy(tmp_path_factory.mktemp("webhooks") / "project", PROJECT_ROOT)
    copy.delete_tests()
    copy.run("python cli.py generate-keys > .env")
    for block in BLOCKS:
        if block.language == "python":
            type_block(block.code, copy.path)
        else:
            copy.run(block.code)
    main = copy.path / "app/main.py"
    assert main.read_text().count(INSTALLED) == 1
    main.write_text(
        main.read_text().replace(INSTALLED, f"{INSTALLED}        jobs=[SEND_WEBHOOK],\n")
    )
    return copy


def test_every_block_has_an_expected_language() -> None:
    assert {block.language for block in BLOCKS} == {"bash", "python"}


def test_the_recipe_passes_the_checks_of_code(followed: ProjectCopy) -> None:
    followed.run("ruff check --fix-only . && ruff check . && ruff format --check .")
    followed.run("mypy app tests && lint-imports")


def test_the_recipe_works_on_both_databases(
    followed: ProjectCopy, postgres: PostgresServer
) -> None:
    more = followed.path / "tests/test_more_webhooks.py"
    more.write_text(MORE)
    # Reuse the server of these tests.
    server = postgres.external_url or postgres.url("postgres")

    output = followed.run(
        "pytest -q tests/test_webhooks.py tests/test_more_webhooks.py", TEST_POSTGRES_URL=server
    )

    # The checks of code, which may run later, are for the page's own.
    more.unlink()
    assert "27 passed" in output
