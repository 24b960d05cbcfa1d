"""The fields of a registration. The schemas of logins are in `mscr/schemas/auth_schemas.py`."""

from examples.catalogue.schemas.user_schemas import Affiliation, FullName
from mscr.schemas.base import Email, Password, RequestSchema


# Fields other than the password become columns of the user, by name. A validator here restricts
# who may register, whether REGISTRATION_BY_MAIL or not. To close registration, leave its router out
# of `routers()` in `routers/auth.py`.
class UserRegister(RequestSchema):
    email: Email
    password: Password
    full_name: FullName | None = None
    affiliation: Affiliation | None = None
