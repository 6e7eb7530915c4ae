"""The frame of one administrators' page: what was done just now, and moments in local time."""

import functools
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse

from backend.access import Staff
from backend.errors import AppError
from backend.web.local_time import in_rome
from backend.web.staff import problem_page, staff_language, staff_page
from bot.phrases import say

_DONE = ("saved", "deleted", "person_added")
"""What a page that was led to may say; the address names one of these, so that nobody writes words into our page."""


def admin_page(
    request: Request, template: str, staff: Staff, *, problem: AppError | None = None, **values: Any
) -> HTMLResponse:
    """With a problem: the same page again, with its status and a sentence."""
    language = staff_language(request, staff)
    values["when"] = functools.partial(in_rome, language)
    if problem is not None:
        return problem_page(request, template, problem, staff=staff, **values)
    done = request.query_params.get("done") if request.method == "GET" else None
    values["done"] = say(language, f"admin.done.{done}") if done in _DONE else None
    return staff_page(request, template, staff=staff, **values)
