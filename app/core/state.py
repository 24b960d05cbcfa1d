"""The collaborators: objects that live as long as the application."""

from dataclasses import dataclass
from typing import Self

from app.core.config import Settings
from mscr.collaborators import Collaborators as KitCollaborators
from mscr.collaborators import kit_collaborators


@dataclass(frozen=True)
class Collaborators(KitCollaborators):
    """Add your own here, such as the client of a payment service.

    Create them in `from_settings`. Add those that must be closed at shutdown to `closing`, too.
    """

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls(**kit_collaborators(settings))
