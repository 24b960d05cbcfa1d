from examples.catalogue.models.note import Note
from mscr.repositories.owned_repository import OwnedRepository


class NoteRepository(OwnedRepository[Note]):
    model = Note
