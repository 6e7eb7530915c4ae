"""Is this process alive, and can it answer."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from backend.services import Services

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(request: Request) -> JSONResponse:
    """200 when the database answers and the entries are loaded; the NLU may come and go."""
    services: Services = request.app.state.services
    try:
        async with services.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
        database = True
    except (SQLAlchemyError, OSError):
        database = False
    body = {
        "database": database,
        "entries": len(services.shelf.library.entries) if services.shelf.ready else 0,
        "nlu": bool(services.parser and not services.parser.paused),
    }
    return JSONResponse(body, 200 if database and services.shelf.ready else 503)
