"""A user's own account (change and deletion), and its administration."""

from examples.catalogue.models.user import ADMINISTRATORS, User
from mscr.services.account_lifecycle_service import AccountLifecycleService


class UserService(AccountLifecycleService[User]):
    administrators = ADMINISTRATORS
