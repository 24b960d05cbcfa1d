"""API errors: one class per meaning, with its status, its stable code and its sentence.

Services and repositories raise these. `mscr.http.problems` turns them, and every other failure,
into RFC 9457 problem responses. The error responses in OpenAPI are generated from them too.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

RETRY_AFTER_SECONDS = 2


class APIError(Exception):
    """The base class. Clients see `detail`: never put a value they sent, a path or SQL into it."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal server error"
    detail: str = "The server failed to process the request. The error has been logged."
    # Each fault of the request: where it is (`loc`), its message (`msg`) and its kind (`type`).
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
    """The Host header is not in ALLOWED_HOSTS."""

    code = "untrusted_host"
    title = "Untrusted host"
    detail = "This server does not serve the host that the request names."


class InvalidRegistrationTokenError(BadRequestError):
    """Damaged, expired, of another kind, or of a deleted account: deliberately one response."""

    code = "invalid_registration_token"
    title = "Invalid registration token"
    detail = "The link is invalid or has expired. Register again."


class InvalidLinkError(BadRequestError):
    """Unknown, used, expired, void, or of another account: deliberately one response."""

    code = "invalid_link"
    title = "Invalid link"
    detail = "The link is invalid, was used, or has expired. Request a new one."


class InvalidTokenRequestError(BadRequestError):
    """An invalid form at the token endpoint (`invalid_request` in RFC 6749 §5.2)."""

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
    detail = "Send grant_type=password: this endpoint supports no other."


class InvalidGrantError(BadRequestError):
    """`InvalidCredentialsError` at the token endpoint: RFC 6749 §5.2 requires status 400."""

    code = "invalid_grant"
    title = "Invalid grant"
    detail = "The email address or the password is wrong."


class UnauthorizedError(APIError):
    """The access token is invalid, expired or revoked. The challenge follows RFC 6750 §3."""

    status = 401
    code = "unauthorized"
    title = "Not authenticated"
    detail = "A valid access token is required."
    challenge: ClassVar[str] = 'Bearer error="invalid_token"'

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": self.challenge})


class MissingTokenError(UnauthorizedError):
    """An anonymous client on a route that needs a caller: the challenge names no error."""

    challenge = "Bearer"


class InvalidCredentialsError(UnauthorizedError):
    """Unknown user, wrong password, inactive or deleted: deliberately one response.

    Different ones would allow account enumeration (ASVS v6.3.8).
    """

    code = "invalid_credentials"
    title = "Invalid credentials"
    challenge = "Bearer"
    detail = "The email address or the password is wrong."


class InvalidRefreshTokenError(UnauthorizedError):
    """Unknown, expired, revoked or reused: deliberately one response (ASVS v16.3.3)."""

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
    """The caller's role lacks a permission of the route (a scope, in RFC 6750 §3.1)."""

    def __init__(self, scopes: Sequence[str]) -> None:
        challenge = f'Bearer error="insufficient_scope", scope="{" ".join(scopes)}"'
        super().__init__(headers={"WWW-Authenticate": challenge})


class EmailNotVerifiedError(ForbiddenError):
    """The application admits only accounts with a verified address to this operation."""

    code = "email_not_verified"
    title = "Email address not verified"
    detail = "Verify your email address first, with the route auth/request-verification."


class WrongPasswordError(ForbiddenError):
    """A client sent the wrong password. Not 401: no access token is refused."""

    code = "wrong_password"
    title = "Wrong password"
    detail = "The current password is wrong."


class ReauthenticationRequiredError(ForbiddenError):
    """The session is valid, but the password was last proved too long ago (ASVS v7.5.1)."""

    code = "reauthentication_required"
    title = "Reauthentication required"
    detail = "Confirm your password first, with the route auth/reauthenticate."


class UntrustedOriginError(ForbiddenError):
    """A cross-origin request that uses or would set the cookie."""

    code = "untrusted_origin"
    title = "Untrusted origin"
    detail = (
        "This origin may not use the session's cookie. Clients other than browsers must send this "
        "server's own origin as Origin."
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
    detail = "This path does not support this method."


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
    detail = "The request conflicts with the current state."


class EmailTakenError(ConflictError):
    code = "email_taken"
    title = "Email address taken"
    detail = "An account with this email address already exists."


class RestoreConflictError(ConflictError):
    """A deleted row cannot be restored: a living row now has the same unique value."""

    code = "restore_conflict"
    title = "Cannot be restored"
    detail = "Another object now has a value of it that must be unique."


class EditConflictError(ConflictError):
    """Lost the optimistic lock: another transaction changed the row between read and write."""

    code = "edit_conflict"
    title = "Edit conflict"
    detail = "Another request has changed this object. Read it again and repeat the request."


class DuplicateRowError(ConflictError):
    """Two rows of a request name one object: the second would silently overwrite the first."""

    code = "duplicate_row"
    title = "Duplicate row"
    detail = "An earlier row of this request names the same object."


class RowsRefusedError(ConflictError):
    """A row of an atomic bulk request was refused, so none was written."""

    code = "rows_refused"
    title = "Rows refused"
    detail = "Nothing was changed: some rows were refused."


class IdempotencyKeyInUseError(ConflictError):
    """The first request with this key has not finished yet."""

    code = "idempotency_key_in_use"
    title = "Idempotency key in use"
    detail = "A request with this Idempotency-Key is being processed. Repeat it shortly."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


class JobNotDeadError(ConflictError):
    code = "job_not_dead"
    title = "Job not dead"
    detail = "The job waits or runs. Only dead jobs can be retried or deleted."


class LastAdministratorError(ConflictError):
    code = "last_administrator"
    title = "Last administrator"
    detail = "The last active administrator cannot be removed."


class PreconditionFailedError(APIError):
    """RFC 9110 §15.5.13: the object's version is not the one that the client expects."""

    status = 412
    code = "precondition_failed"
    title = "Precondition failed"
    detail = "The object has changed since you read it. Read it again, and send its new ETag."


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
    detail = "This operation requires another Content-Type, which the documentation names."


class ContentEncodingError(UnsupportedMediaTypeError):
    """A compressed body: it could be a decompression bomb (RFC 9110 §15.5.16)."""

    code = "unsupported_content_encoding"
    title = "Unsupported content encoding"
    detail = "Send the body uncompressed: no Content-Encoding, such as gzip, is supported."

    def __init__(self) -> None:
        super().__init__(headers={"Accept-Encoding": "identity"})


class ValidationFailedError(APIError):
    """Services also raise this for rules that a schema cannot check, with their own `errors`."""

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
    """The key belongs to a request with other content: sent by mistake, so it is not processed."""

    status = 422
    code = "idempotency_key_reused"
    title = "Idempotency key reused"
    detail = "This Idempotency-Key was used for another request. Use a new one for each."


class PreconditionRequiredError(APIError):
    """RFC 6585 §3."""

    status = 428
    code = "precondition_required"
    title = "Precondition required"
    detail = "Send If-Match with the ETag of the object that you want to change."


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
        """`quota` attempts were allowed in `window`; more are allowed after `reset`.

        `counter` is the digest that identifies the exhausted counter and no person. `setting` is
        the setting that defines the quota.
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
                # draft-ietf-httpapi-ratelimit-headers: name, quota, window, remaining, time.
                "RateLimit-Policy": f'"{policy}";q={quota};w={window_seconds}',
                "RateLimit": f'"{policy}";r=0;t={seconds}',
            }
        )


class ServiceUnavailableError(APIError):
    """A dependency is unavailable or the server is overloaded: a retry may succeed."""

    status = 503
    code = "service_unavailable"
    title = "Service unavailable"
    detail = "The service is temporarily unavailable. Try again shortly."

    def __init__(self, detail: str | None = None, *, reason: str = "", remedy: str = "") -> None:
        """`reason` and `remedy` go to the log only: clients do not see them."""
        self.log_fields = {"reason": reason or detail or self.detail}
        if remedy:
            self.log_fields["remedy"] = remedy
        super().__init__(detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
