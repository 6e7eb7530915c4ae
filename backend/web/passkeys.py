"""Passkeys (WebAuthn): adding one, signing in with one."""

from fastapi import APIRouter, Depends

from backend.web.staff import own_form

router = APIRouter(include_in_schema=False, dependencies=[Depends(own_form)])
