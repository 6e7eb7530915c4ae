"""On the account page: keys for another help-desk program."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from backend.accounts import LONGEST_NAME
from backend.console_keys import LONGEST_DAYS, delete_key, make_key
from backend.errors import AppError, Forbidden
from backend.services import Services
from backend.web.account import check_password_tries, own_problem
from backend.web.staff import StaffHere, own_form, staff_page

router = APIRouter(include_in_schema=False, dependencies=[Depends(own_form)])

_Field = Annotated[str, Form(max_length=1000)]


@router.post("/account/keys")
async def make(
    request: Request, staff: StaffHere, name: _Field = "", days: _Field = "", current: _Field = ""
) -> Response:
    """No redirect: the key is kept nowhere, so this answer is the only one that can show it."""
    services: Services = request.app.state.services
    number = int(days) if days.isascii() and days.isdecimal() and len(days) < 5 else LONGEST_DAYS + 1
    try:
        await check_password_tries(services, staff)
        key = await make_key(services.sessions, staff, name=name, days=number, password=current, now=services.now())
    except Forbidden:
        raise
    except AppError as error:
        return await own_problem(request, staff, error, typed_key=name[: 2 * LONGEST_NAME], typed_days=days[:6])
    return staff_page(request, "staff/key.html", staff=staff, key=key, address=services.settings.address)


@router.post("/account/keys/{key_id}/delete")
async def delete(request: Request, staff: StaffHere, key_id: UUID) -> Response:
    services: Services = request.app.state.services
    async with services.sessions.begin() as session:
        await delete_key(session, staff, key_id)
    return RedirectResponse("/account?done=key_deleted#keys-title", 303)
