"""One class per error meaning: its status, its stable code, its sentence.

Services and repositories raise these; `app.core.problems` turns them, and everything else that
can go wrong, into RFC 9457 problem responses. OpenAPI's error responses come from here too.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

RETRY_AFTER_SECONDS = 2


class APIError(Exception):
    """The base. `detail` is shown to the client: never a value that was sent, a path or SQL."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal server error"
    detail: str = "The server could not answer. The error has been logged."
    # Where in the request, and what: `loc`, `msg` and `type` of each fault.
    errors: Sequence[Mapping[str, Any]] | None = None

    def __init__(
        self, detail: str | None = None, *, headers: Mapping[str, str] | None = None
    ) -> None:
        if detail is not None:
            self.detail = detail
        self.headers: Mapping[str, str] = headers or {}
        super().__init__(self.detail)


class BadRequestError(APIError):
    status = 400
    code = "bad_request"
    title = "Bad request"
    detail = "The request could not be understood."


class UntrustedHostError(BadRequestError):
    """The Host header names none of ALLOWED_HOSTS."""

    code = "untrusted_host"
    title = "Untrusted host"
    detail = "This server does not answer for the host that the request names."


class InvalidRegistrationTokenError(BadRequestError):
    """Damaged, expired, of another kind, or of an account that is gone: deliberately one answer."""

    code = "invalid_registration_token"
    title = "Invalid registration token"
    detail = "The link is not valid, or no longer. Register again."


class InvalidTokenRequestError(BadRequestError):
    """A form that the token endpoint cannot read (`invalid_request` in RFC 6749 §5.2)."""

    code = "invalid_request"
    title = "Invalid token request"
    detail = "The form has invalid or missing fields."

    def __init__(
        self, detail: str | None = None, *, errors: Sequence[Mapping[str, Any]] | None = None
    ) -> None:
        super().__init__(detail)
        self.errors = errors


class UnsupportedGrantTypeError(BadRequestError):
    """RFC 6749 §5.2."""

    code = "unsupported_grant_type"
    title = "Unsupported grant type"
    detail = "Send grant_type=password: this endpoint takes no other."


class InvalidGrantError(BadRequestError):
    """`InvalidCredentialsError` at the token endpoint, where RFC 6749 §5.2 wants status 400."""

    code = "invalid_grant"
    title = "Invalid grant"
    detail = "The email address or the password is not right."


class UnauthorizedError(APIError):
    """The access token is not good, or no more. RFC 6750 §3 says what the challenge says."""

    status = 401
    code = "unauthorized"
    title = "Not authenticated"
    detail = "A valid access token is required."
    challenge: ClassVar[str] = 'Bearer error="invalid_token"'

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": self.challenge})


class MissingTokenError(UnauthorizedError):
    """No access token was sent: there is nothing to say against it."""

    challenge = "Bearer"


class InvalidCredentialsError(UnauthorizedError):
    """Unknown user, wrong password, inactive or deleted: deliberately one answer (ASVS v6.3.8)."""

    code = "invalid_credentials"
    title = "Invalid credentials"
    challenge = "Bearer"
    detail = "The email address or the password is not right."


class InvalidRefreshTokenError(UnauthorizedError):
    """Unknown, expired, revoked or reused: deliberately one answer (ASVS v16.3.3)."""

    code = "invalid_refresh_token"
    title = "Invalid refresh token"
    challenge = "Bearer"
    detail = "The refresh token is not valid. Log in again."


class ForbiddenError(APIError):
    status = 403
    code = "forbidden"
    title = "Not allowed"
    detail = "You are not allowed to do this."


class MissingPermissionError(ForbiddenError):
    """The caller's role lacks a permission of the route: a scope, in RFC 6750 §3.1."""

    def __init__(self, scopes: Sequence[str]) -> None:
        challenge = f'Bearer error="insufficient_scope", scope="{" ".join(scopes)}"'
        super().__init__(headers={"WWW-Authenticate": challenge})


class WrongPasswordError(ForbiddenError):
    """A logged-in caller did not prove the password. Not 401: the access token is fine."""

    code = "wrong_password"
    title = "Wrong password"
    detail = "The current password is not right."


class ReauthenticationRequiredError(ForbiddenError):
    """The session is good, but the password was proved too long ago (ASVS v7.5.1)."""

    code = "reauthentication_required"
    title = "Reauthentication required"
    detail = "Confirm your password first: POST /api/v1/auth/reauthenticate."


class UntrustedOriginError(ForbiddenError):
    """A request with or for the cookie that no page of ours has sent, as far as a browser says."""

    code = "untrusted_origin"
    title = "Untrusted origin"
    detail = (
        "This origin may not use the session's cookie. Without a browser, send this server's own "
        "as Origin."
    )


class NotFoundError(APIError):
    status = 404
    code = "not_found"
    title = "Not found"
    detail = "There is no such resource."


class MethodNotAllowedError(APIError):
    status = 405
    code = "method_not_allowed"
    title = "Method not allowed"
    detail = "This path does not answer to this method."


class RequestTimeoutError(APIError):
    """The rest of the request did not arrive in time."""

    status = 408
    code = "request_timeout"
    title = "Request timeout"
    detail = "The request did not arrive in time. Send it again."


class ConflictError(APIError):
    status = 409
    code = "conflict"
    title = "Conflict"
    detail = "The request conflicts with the present state."


class EmailTakenError(ConflictError):
    code = "email_taken"
    title = "Email address taken"
    detail = "There is already an account with this email address."


class TagNameTakenError(ConflictError):
    code = "tag_name_taken"
    title = "Tag name taken"
    detail = "There is a tag of this name already."


class RestoreConflictError(ConflictError):
    """A deleted row, of which another one has what must be unique among the living."""

    code = "restore_conflict"
    title = "Cannot be restored"
    detail = "Something else has its place by now: what must be unique about it is taken."


class EditConflictError(ConflictError):
    """Another transaction changed the row between our reading and our writing it."""

    code = "edit_conflict"
    title = "Edit conflict"
    detail = "Another request changed this meanwhile. Read it again and repeat."


class DuplicateRowError(ConflictError):
    """Two rows of a request are about one object: the second would overwrite the first unseen."""

    code = "duplicate_row"
    title = "Duplicate row"
    detail = "An earlier row of this request is about the same object."


class RowsRefusedError(ConflictError):
    """An atomic request of many rows, of which one cannot be done."""

    code = "rows_refused"
    title = "Rows refused"
    detail = "Nothing was changed: some rows cannot be done as they are."


class IdempotencyKeyInUseError(ConflictError):
    """The first request with this key is not through yet."""

    code = "idempotency_key_in_use"
    title = "Idempotency key in use"
    detail = "A request with this Idempotency-Key is being processed. Repeat it shortly."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


class LastAdministratorError(ConflictError):
    code = "last_administrator"
    title = "Last administrator"
    detail = "The last active administrator cannot be removed."


class PreconditionFailedError(APIError):
    """RFC 9110 §15.5.13: the object is not what the client takes it for."""

    status = 412
    code = "precondition_failed"
    title = "Precondition failed"
    detail = "This was changed since you read it. Read it again and repeat with its new ETag."


class PayloadTooLargeError(APIError):
    status = 413
    code = "payload_too_large"
    title = "Content too large"
    detail = "The request body is larger than this server accepts."


class UriTooLongError(APIError):
    status = 414
    code = "uri_too_long"
    title = "URI too long"
    detail = "The request's URI is longer than this server accepts."


class HeadersTooLargeError(APIError):
    status = 431
    code = "headers_too_large"
    title = "Request header fields too large"
    detail = "The request's headers are larger than this server accepts."


class UnsupportedMediaTypeError(APIError):
    status = 415
    code = "unsupported_media_type"
    title = "Unsupported media type"
    detail = "This operation takes another Content-Type; the documentation names it."


class ContentEncodingError(UnsupportedMediaTypeError):
    """A compressed body: its few bytes could be thousands of times as many (RFC 9110 §15.5.16)."""

    code = "unsupported_content_encoding"
    title = "Unsupported content encoding"
    detail = "Send the body as it is: no Content-Encoding, as gzip, is read here."

    def __init__(self) -> None:
        super().__init__(headers={"Accept-Encoding": "identity"})


class ValidationFailedError(APIError):
    """Also raised by services for a rule that a schema cannot know, with its own `errors`."""

    status = 422
    code = "validation_failed"
    title = "Validation failed"
    detail = "The request has invalid values."

    def __init__(
        self,
        detail: str | None = None,
        *,
        loc: tuple[str | int, ...] = (),
        error_type: str = "value_error",
    ) -> None:
        super().__init__(detail)
        self.errors = [{"loc": list(loc), "msg": self.detail, "type": error_type}] if loc else []


class IdempotencyKeyReusedError(APIError):
    """The key belongs to a request of another content. Sent by mistake, it must not be obeyed."""

    status = 422
    code = "idempotency_key_reused"
    title = "Idempotency key reused"
    detail = "This Idempotency-Key was used for another request. Use a new one for each."


class PreconditionRequiredError(APIError):
    """RFC 6585 §3."""

    status = 428
    code = "precondition_required"
    title = "Precondition required"
    detail = "Send If-Match with the ETag of what you are about to change."


class TooManyRequestsError(APIError):
    status = 429
    code = "too_many_requests"
    title = "Too many requests"
    detail = "Too many attempts. Try again later."

    def __init__(
        self,
        *,
        policy: str,
        quota: int,
        window: timedelta,
        reset: timedelta,
        counter: str,
        setting: str = "",
    ) -> None:
        """`quota` attempts were allowed in `window`; `reset` is when there will be some again.

        `counter` names the one that is full, and nobody; `setting` is where the quota comes from.
        """
        self.counter = counter
        self.policy = policy
        self.quota = quota
        self.window = window
        self.setting = setting
        seconds = max(1, math.ceil(reset.total_seconds()))
        window_seconds = int(window.total_seconds())
        super().__init__(
            headers={
                "Retry-After": str(seconds),
                # draft-ietf-httpapi-ratelimit-headers: names, quota, window, remaining, time.
                "RateLimit-Policy": f'"{policy}";q={quota};w={window_seconds}',
                "RateLimit": f'"{policy}";r=0;t={seconds}',
            }
        )


class ServiceUnavailableError(APIError):
    """A dependency is away or the server is full: a later attempt may succeed."""

    status = 503
    code = "service_unavailable"
    title = "Service unavailable"
    detail = "The service cannot answer right now. Try again shortly."

    def __init__(self, detail: str | None = None, *, reason: str = "", remedy: str = "") -> None:
        """`reason` and `remedy` are for the log, and name what the client need not know."""
        self.log_fields = {"reason": reason or detail or self.detail}
        if remedy:
            self.log_fields["remedy"] = remedy
        super().__init__(detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
