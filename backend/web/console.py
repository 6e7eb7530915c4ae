"""The operators' console."""

from fastapi import APIRouter, Depends

from backend.web.staff import own_form

router = APIRouter(prefix="/console", include_in_schema=False, dependencies=[Depends(own_form)])
