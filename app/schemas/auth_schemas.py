"""The fields of a registration. The schemas of logins are in `mscr/schemas/auth_schemas.py`."""

from app.schemas.base import Email, Password, RequestSchema
from app.schemas.user_schemas import FullName


# Fields other than the password become columns of the user, by name. A validator here restricts
# who may register, whether REGISTRATION_BY_MAIL or not. To close registration, leave its router out
# of `routers()` in `app/routers/auth.py`.
class UserRegister(RequestSchema):
    email: Email
    password: Password
    full_name: FullName | None = None
