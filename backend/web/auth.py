"""Signing in and out, one-time links, one's own account."""

from fastapi import APIRouter, Depends

from backend.web.staff import own_form

router = APIRouter(include_in_schema=False, dependencies=[Depends(own_form)])
