"""Errors as RFC 9457 problems for programs and as a page for people, in the reader's language."""

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from backend.errors import AppError, InvalidRequest, NotFound, Unavailable
from backend.web.pages import page, reader_language, retry_header
from backend.web.staff import SignInNeeded, sign_in_redirect
from bot.phrases import say

log = logging.getLogger(__name__)

_CODES = {400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "method_not_allowed"}


def problem(request: Request, status: int, code: str, **more: Any) -> Response:
    language = reader_language(request)
    title = say(language, f"error.{code}", **more.pop("values", {}))
    if request.url.path.startswith("/api/") or request.url.path in ("/healthz", "/readyz", "/metrics"):
        body = {"type": "about:blank", "title": title, "status": status, "code": code, **more}
        headers = {"content-language": language}
        return JSONResponse(body, status, headers, media_type="application/problem+json")
    return page(request, "error.html", language=language, status_code=status, message=title)


def add_handlers(app: FastAPI) -> None:
    @app.exception_handler(SignInNeeded)
    async def sign_in(request: Request, error: SignInNeeded) -> Response:
        if request.method in ("GET", "HEAD") and not request.headers.get("hx-request"):
            return sign_in_redirect(request)
        return problem(request, error.status, error.code)

    @app.exception_handler(AppError)
    async def app_error(request: Request, error: AppError) -> Response:
        response = problem(request, error.status, error.code, values=error.values)
        response.headers.update(retry_header(error))
        return response

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        response = problem(request, error.status_code, _CODES.get(error.status_code, "bad_request"))
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        # Where it went wrong, never what was sent: the text may be private.
        places = [".".join(str(part) for part in one["loc"]) for one in error.errors()]
        return problem(request, InvalidRequest.status, InvalidRequest.code, fields=places[:20])

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        log.error(
            "unexpected %s at %s", type(error).__name__, request.scope.get("route", request.url.path), exc_info=error
        )
        return problem(request, Unavailable.status, Unavailable.code)


__all__ = ["NotFound", "add_handlers", "problem"]
