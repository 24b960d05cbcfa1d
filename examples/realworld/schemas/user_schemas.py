from typing import Annotated

from pydantic import MISSING, Field

from examples.realworld.schemas.base import ResponseSchema
from mscr.schemas.auth_schemas import LoginRequest
from mscr.schemas.base import Email, Password, RequestSchema

Username = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,50}$", examples=["ada"])]
Bio = Annotated[str, Field(max_length=2000, examples=["I count."])]
Image = Annotated[str, Field(max_length=2000, examples=["https://example.com/ada.png"])]


# Fields other than the password become columns of the user, by name.
class UserRegister(RequestSchema):
    username: Username
    email: Email
    password: Password


class RegisterRequest(RequestSchema):
    user: UserRegister


class LoginBody(RequestSchema):
    user: LoginRequest


class UserUpdate(RequestSchema):
    """Changes only the fields that are sent. The password has no route in this example."""

    username: Username | MISSING = MISSING
    email: Email | MISSING = MISSING
    bio: Bio | None = None
    image: Image | None = None


class UpdateUserRequest(RequestSchema):
    user: UserUpdate


class UserResponse(ResponseSchema):
    email: str = Field(examples=["ada@example.com"])
    token: str = Field(examples=["eyJhbGciOiJIUzI1NiIsImtpZCI6Ii4uLiJ9.eyJpc3MiOiIuLi4ifQ.a1B2c3"])
    username: str = Field(examples=["ada"])
    bio: str | None = Field(examples=["I count."])
    image: str | None = Field(examples=["https://example.com/ada.png"])


class UserEnvelope(ResponseSchema):
    user: UserResponse
