from typing import Annotated

from pydantic import Field, StringConstraints

from examples.catalogue.models.user import UserRole
from mscr.schemas.base import NOT_BLANK, Email, Password, PublicResource, RequestSchema

Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=NOT_BLANK),
]
FullName = Annotated[Name, Field(examples=["Ada Lovelace"])]
Affiliation = Annotated[Name, Field(examples=["City Library"])]


# Fields other than the password become columns of the user, by name.
class UserRegister(RequestSchema):
    email: Email
    password: Password
    full_name: FullName | None = None
    affiliation: Affiliation | None = None


class AccountDelete(RequestSchema):
    password: Password


class UserResponse(PublicResource):
    email: str = Field(examples=["ada@example.com"])
    full_name: str | None = Field(examples=["Ada Lovelace"])
    affiliation: str | None = Field(examples=["City Library"])
    role: UserRole
    is_active: bool
