"""The outbox of a plain resource: its jobs are in the transaction of the row's change."""

from typing import Annotated, Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import select

from examples.catalogue.db.session import Database
from examples.catalogue.models import Job
from examples.catalogue.schemas.note_schemas import NoteCreate, NoteResponse, NoteUpdate
from examples.catalogue.services.note_service import NoteService
from examples.catalogue.tests.api import Api
from mscr.core.exceptions import ConflictError
from mscr.endpoints.owned_resource import service_for_caller
from mscr.endpoints.requests import PublicId
from mscr.endpoints.resource_responder import resource_response
from mscr.http.responses import SuccessResponse
from mscr.mail.message import Mail
from mscr.queries.shown_rows import ShownRow
from mscr.testing.api import Account
from mscr.testing.problems import problem

# A worker runs the jobs: here they stay.
pytestmark = pytest.mark.settings(JOBS_IN_PROCESS=False)
MAIL = Mail("ada@example.com", "A note", "has changed")


class MailingNotes(NoteService):
    async def create(self, data: BaseModel, **values: Any) -> ShownRow:
        await self.begin()
        await self.outbox.add_mail(MAIL)
        return await super().create(data, **values)

    async def update(self, public_id: UUID, data: BaseModel) -> ShownRow:
        note = await self.lock(public_id)
        await self.outbox.add_mail(MAIL)
        changes = data.model_dump(exclude_unset=True)
        if changes["text"] == "refused":
            raise ConflictError
        return await self.save(note, **changes)

    async def get(self, public_id: UUID) -> ShownRow:
        with pytest.raises(RuntimeError, match="MailingNotes only reads here"):
            await self.outbox.add_mail(MAIL)
        return await super().get(public_id)


Notes = Annotated[MailingNotes, service_for_caller(MailingNotes)]


@pytest.fixture
async def owner(app: FastAPI, api: Api) -> Account:
    @app.post("/mailing-notes", status_code=201)
    async def create_note(data: NoteCreate, notes: Notes) -> SuccessResponse[NoteResponse]:
        return resource_response(await notes.create(data), NoteResponse)

    @app.get("/mailing-notes/{public_id}")
    async def get_note(public_id: PublicId, notes: Notes) -> SuccessResponse[NoteResponse]:
        return resource_response(await notes.get(public_id), NoteResponse)

    @app.patch("/mailing-notes/{public_id}")
    async def update_note(
        public_id: PublicId, data: NoteUpdate, notes: Notes
    ) -> SuccessResponse[NoteResponse]:
        return resource_response(await notes.update(public_id, data), NoteResponse)

    return await api.register()


async def jobs_in(database: Database) -> int:
    async with database.read_sessions() as session:
        return len([*await session.scalars(select(Job.id))])


async def test_a_job_is_stored_with_the_change_of_its_row(
    api: Api, owner: Account, database: Database
) -> None:
    """RL15: not with a change that is refused after it was added."""
    body, headers = {"text": "A note"}, owner.headers
    created = await api.client.post("/mailing-notes", json=body, headers=headers)
    assert (created.status_code, await jobs_in(database)) == (201, 1)
    path = f"/mailing-notes/{created.json()['data']['public_id']}"

    refused = await api.client.patch(path, json={"text": "refused"}, headers=headers)
    problem(refused, 409, "conflict")
    assert await jobs_in(database) == 1

    changed = await api.client.patch(path, json={"text": "Another"}, headers=headers)
    assert (changed.status_code, await jobs_in(database)) == (200, 2)


async def test_a_repeated_request_adds_no_second_job(
    api: Api, owner: Account, database: Database
) -> None:
    """RC3."""
    headers = {**owner.headers, "Idempotency-Key": "a-key-of-the-client"}
    answers = [
        await api.client.post("/mailing-notes", json={"text": "A note"}, headers=headers)
        for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert await jobs_in(database) == 1


async def test_a_request_that_reads_has_no_outbox(api: Api, owner: Account) -> None:
    body = {"text": "A note"}
    created = await api.client.post("/mailing-notes", json=body, headers=owner.headers)
    path = f"/mailing-notes/{created.json()['data']['public_id']}"

    assert (await api.client.get(path, headers=owner.headers)).status_code == 200
