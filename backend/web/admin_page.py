"""What administrators' pages share: fields, one way to make a change, and the frame that says what was done."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Form, Path, Query, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.ext.asyncio import AsyncSession

from backend.access import Staff
from backend.errors import AppError, Forbidden, NotFound, Unauthorized
from backend.services import Services
from backend.web.staff import problem_page, staff_language, staff_page
from bot.phrases import say

Field = Annotated[str, Form(max_length=1000)]
RowId = Annotated[int, Path(ge=1, le=2**31 - 1)]
PageNumber = Annotated[int, Query(ge=1, le=10_000)]
Change = Callable[[AsyncSession, Staff], Awaitable[object]]
_DONE = ("saved", "deleted", "person_added")
"""What a page that was led to may say; the address names one of these, so that nobody writes words into our page."""


async def attempt(request: Request, staff: Staff, change: Change) -> AppError | None:
    """Makes a change in a transaction of its own; returns what is in its way and can be said on the page.

    Raises Unauthorized, Forbidden, NotFound: of what may not be seen or done, no page is shown."""
    services: Services = request.app.state.services
    try:
        async with services.sessions.begin() as session:
            await change(session, staff)
    except (NotFound, Forbidden, Unauthorized):
        raise
    except AppError as error:
        return error
    return None


def admin_page(
    request: Request, template: str, staff: Staff, *, problem: AppError | None = None, **values: Any
) -> HTMLResponse:
    """With a problem: the same page again, with its status and a sentence."""
    language = staff_language(request, staff)
    if problem is not None:
        return problem_page(request, template, problem, staff=staff, **values)
    done = request.query_params.get("done") if request.method == "GET" else None
    values["done"] = say(language, f"admin.done.{done}") if done in _DONE else None
    return staff_page(request, template, staff=staff, **values)
