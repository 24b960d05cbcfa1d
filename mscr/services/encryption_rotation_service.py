"""Re-encrypt stored values under the newest key, so that earlier keys can be discarded."""

from collections.abc import Callable
from dataclasses import dataclass

from mscr.core.security.encryption import DecryptionError, EncryptionService
from mscr.repositories.encrypted_value_repository import EncryptedValue, EncryptedValueRepository

# Called with the row's public id and the fault of its value.
OnUnreadable = Callable[[str, str], None]


@dataclass(slots=True)
class Rotation:
    """The result of one run over a column: each value is counted once."""

    renewed: int = 0
    current: int = 0
    unreadable: int = 0


class EncryptionRotationService:
    """Re-encrypt the values of one column.

    It can be interrupted, repeated and run concurrently: it skips values under the newest key, and
    does not overwrite concurrent changes.
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
        """Re-encrypt all values, and commit after each `batch`. Unreadable values stay."""
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
        # Keep a concurrent change and process it in turn: its key may be an earlier one.
        while found is not None and not await self._settle(found, rotation, on_unreadable):
            found = await self.value_repo.find(found.row_id)

    async def _settle(
        self, value: EncryptedValue, rotation: Rotation, on_unreadable: OnUnreadable
    ) -> bool:
        """Process the value. Return False if the row no longer has it (compare-and-swap)."""
        try:
            # Only to verify the context: rotating a ciphertext moved from elsewhere would hide it.
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
