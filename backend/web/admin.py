"""Pages of administrators: people, desks, organisations, sessions, audit log."""

from fastapi import APIRouter, Depends

from backend.web.staff import own_form

router = APIRouter(prefix="/admin", include_in_schema=False, dependencies=[Depends(own_form)])
