"""Common first steps of tests (register, log in), over HTTP. Add those of your own routes."""

from app.models import UserRole
from app.schemas.auth_schemas import UserRegister
from mscr.testing.api import Api as KitApi


class Api(KitApi):
    administrator = UserRole.ADMIN
    registration_schema = UserRegister
