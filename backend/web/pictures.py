"""Photographs of places, which are files of the content (`knowledge_base.entry.Picture`)."""

from fastapi import APIRouter
from fastapi.responses import FileResponse

from backend.errors import NotFound
from backend.web.api import ServicesHere
from backend.web.views import find_picture

router = APIRouter(include_in_schema=False)
_DAY_S = 24 * 3600


@router.get("/pictures/{entry_id}")
async def show_picture(services: ServicesHere, entry_id: str) -> FileResponse:
    entry = services.shelf.find_entry(entry_id)
    path = find_picture(entry.facts.picture) if entry and entry.shown else None
    if path is None:
        raise NotFound
    return FileResponse(path, headers={"cache-control": f"public, max-age={_DAY_S}"})
