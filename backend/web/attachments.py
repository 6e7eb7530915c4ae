"""Files that people send: letters they do not understand, above all."""

from fastapi import APIRouter

from backend.web.api import PROBLEMS

router = APIRouter(prefix="/api/v1", responses=PROBLEMS)
