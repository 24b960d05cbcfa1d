"""A user's own account (change and deletion), and its administration."""

from examples.catalogue.models.user import ADMINISTRATORS, User
from mscr.services.account_lifecycle_service import AccountLifecycleService


class UserService(AccountLifecycleService[User]):
    administrators = ADMINISTRATORS

    async def erase(self, user: User) -> None:
        """Erase your columns with personal data: add each here. The kit erases its own."""
        user.full_name = user.affiliation = None
