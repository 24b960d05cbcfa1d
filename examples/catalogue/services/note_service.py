from examples.catalogue.models.note import Note
from examples.catalogue.repositories.note_repository import NoteRepository
from examples.catalogue.schemas.note_schemas import NoteResponse
from mscr.services.owned_service import OwnedService


class NoteService(OwnedService[Note]):
    """The notes of the caller. Those of other users do not exist for the caller."""

    repository = NoteRepository
    response = NoteResponse
