"""One error class for everything a person may be told; one handler renders it (RFC 9457)."""

from typing import Any


class AppError(Exception):
    """Carries its HTTP status, a stable code, and the key of a sentence in the catalogues (`error.<code>`)."""

    status = 400
    code = "bad_request"

    def __init__(self, **values: Any) -> None:
        super().__init__(self.code)
        self.values = values

    @property
    def message_id(self) -> str:
        return f"error.{self.code}"


class NotFound(AppError):
    status = 404
    code = "not_found"


class Unauthorized(AppError):
    status = 401
    code = "unauthorized"


class Forbidden(AppError):
    status = 403
    code = "forbidden"


class Conflict(AppError):
    status = 409
    code = "conflict"


class EmptyMessage(AppError):
    status = 422
    code = "empty_message"


class TooLong(AppError):
    status = 422
    code = "too_long"


class UnknownLanguage(AppError):
    status = 422
    code = "unknown_language"


class InvalidRequest(AppError):
    status = 422
    code = "invalid_request"


class TooManyRequests(AppError):
    status = 429
    code = "too_many_requests"


class Unavailable(AppError):
    """The database cannot be reached for now; the same request may be sent again."""

    status = 503
    code = "unavailable"
