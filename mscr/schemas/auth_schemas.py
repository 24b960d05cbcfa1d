"""The requests and responses of logins. Those of registration belong to the application."""

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from mscr.schemas.base import Email, Password, RequestSchema, ResponseSchema

# Long enough for an access token of any algorithm, so that sending one gets a clear 401.
OpaqueToken = Annotated[
    str, Field(min_length=1, max_length=2048, examples=["AZIGYBEucNCB2KaLl7ZZ-a1B2c3D4e5"])
]


class ConfirmRegistrationRequest(RequestSchema):
    """The token and password of a registration.

    `token` is what follows `token=` in the mailed link.
    """

    token: Annotated[
        str, Field(min_length=1, max_length=8192, examples=["gAAAAABqkxYzT3JpZ2luYWxUZXh0"])
    ]
    password: Password


LinkToken = Annotated[
    str,
    Field(min_length=1, max_length=2048, examples=["n3vY0Zk5v7Qm2cT9sXoW1uJ8dR4aLhGfB6pEiKyCqMw"]),
]


class ForgotPasswordRequest(RequestSchema):
    email: Annotated[str, Field(max_length=254, examples=["ada@example.com"])]


class ResetPasswordRequest(RequestSchema):
    """`token` is what follows `token=` in the mailed link."""

    token: LinkToken
    password: Password


class VerifyEmailRequest(RequestSchema):
    """`token` is what follows `token=` in the mailed link."""

    token: LinkToken


class ChangeEmailRequest(RequestSchema):
    email: Annotated[Email, Field(examples=["ada@example.org"])]


class LoginRequest(RequestSchema):
    email: Annotated[str, Field(max_length=254, examples=["ada@example.com"])]
    password: Password


PASSWORD_GRANT: Final = "password"  # noqa: S105  # the name of a grant type


class OAuth2Login(RequestSchema):
    """The fields of RFC 6749 §4.3.2 that this server reads; others are ignored."""

    model_config = ConfigDict(extra="ignore")

    grant_type: Literal["password"]
    username: Annotated[
        str,
        Field(
            min_length=1,
            max_length=254,
            description="The email address.",
            examples=["ada@example.com"],
        ),
    ]
    password: Password


class RefreshRequest(RequestSchema):
    refresh_token: OpaqueToken


class LogoutRequest(RequestSchema):
    refresh_token: OpaqueToken


class ReauthenticateRequest(RequestSchema):
    password: Password


class ChangePasswordRequest(RequestSchema):
    current_password: Password
    new_password: Annotated[Password, Field(examples=["eight dry umbrellas"])]


class AccessTokenResponse(ResponseSchema):
    """RFC 6749 §5.1. `expires_in` is the access token's lifetime in seconds."""

    access_token: str = Field(
        examples=["eyJhbGciOiJIUzI1NiIsImtpZCI6Ii4uLiJ9.eyJpc3MiOiIuLi4ifQ.a1B2c3"]
    )
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  # a scheme, not a secret
    expires_in: int = Field(examples=[900])


class TokenResponse(AccessTokenResponse):
    """RFC 6749 §5.1. `expires_in` is the access token's lifetime in seconds."""

    refresh_token: str = Field(examples=["AZIGYBEucNCB2KaLl7ZZ-a1B2c3D4e5"])
