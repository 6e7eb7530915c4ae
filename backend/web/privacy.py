"""The privacy notice, what is kept of a person, leaving quickly."""

from fastapi import APIRouter

router = APIRouter(include_in_schema=False)
