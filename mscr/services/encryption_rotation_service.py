"""Bringing stored ciphertexts under the newest key, so that the earlier ones can be thrown away."""

from collections.abc import Callable
from dataclasses import dataclass

from app.core.security.encryption import DecryptionError, EncryptionService
from app.repositories.encrypted_value_repository import EncryptedValue, EncryptedValueRepository

# Is told the row's public id, and what is wrong with the value.
OnUnreadable = Callable[[str, str], None]


@dataclass(slots=True)
class Rotation:
    """What a run did with the values of a column, each counted once."""

    renewed: int = 0
    current: int = 0
    unreadable: int = 0


class EncryptionRotationService:
    """Rotates the values of one column.

    It may be interrupted at any moment and run again, and run several times at once: what is under
    the newest key is left alone, and what somebody changed meanwhile is not overwritten.
    """

    def __init__(
        self, value_repo: EncryptedValueRepository, *, encryption: EncryptionService
    ) -> None:
        self.value_repo = value_repo
        self._encryption = encryption

    async def rotate(
        self,
        *,
        batch: int,
        on_batch: Callable[[int], None],
        on_unreadable: OnUnreadable,
    ) -> Rotation:
        """Commit each `batch`. What cannot be read stays as it is."""
        rotation = Rotation()
        last: int | None = None
        while values := await self.value_repo.list_after(last, limit=batch):
            for value in values:
                await self._rotate(value, rotation, on_unreadable)
            await self.value_repo.commit()
            last = values[-1].row_id
            on_batch(len(values))
        return rotation

    async def _rotate(
        self, value: EncryptedValue, rotation: Rotation, on_unreadable: OnUnreadable
    ) -> None:
        found: EncryptedValue | None = value
        # Somebody else's change stays, and is looked at in turn: its key may be an earlier one.
        while found is not None and not await self._settle(found, rotation, on_unreadable):
            found = await self.value_repo.find(found.row_id)

    async def _settle(
        self, value: EncryptedValue, rotation: Rotation, on_unreadable: OnUnreadable
    ) -> bool:
        """False when the value is not the row's any more."""
        try:
            # For its context alone: rotating a ciphertext that was moved here would hide that.
            self._encryption.decrypt(value.ciphertext, context=value.context)
        except DecryptionError as error:
            rotation.unreadable += 1
            on_unreadable(value.public_id, str(error))
            return True
        if self._encryption.is_current(value.ciphertext):
            rotation.current += 1
            return True
        replaced = await self.value_repo.replace(value, self._encryption.rotate(value.ciphertext))
        rotation.renewed += replaced
        return replaced
