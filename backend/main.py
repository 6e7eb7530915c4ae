"""Web composition root: `create_app(settings)`, and the server `python -m backend.main` runs."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from backend.config import Settings
from backend.logs import set_up_logging
from backend.services import open_services
from backend.web import (
    admin,
    api,
    app_page,
    appointments_api,
    attachments,
    auth,
    booking_pages,
    calendar_blocks,
    calendar_feeds,
    calendar_pages,
    calendar_steps,
    chat,
    console,
    console_api,
    console_figures,
    console_live,
    console_together,
    desk_pages,
    embed,
    health,
    key_pages,
    passkeys,
    pictures,
    posters,
    privacy,
    shift,
    single_sign_on,
    static,
    stranded_pages,
    telegram,
    visits,
)
from backend.web.compression import Compression
from backend.web.problems import add_handlers
from backend.web.protection import RequestSize, SecurityHeaders


class Application(FastAPI):
    """FastAPI puts its own answer to an unforeseen error around all middleware: the headers go around that too."""

    def __init__(self, settings: Settings, **wishes: Any) -> None:
        super().__init__(**wishes)
        self.settings = settings

    def build_middleware_stack(self) -> ASGIApp:
        return SecurityHeaders(super().build_middleware_stack(), self.settings)


def create_app(settings: Settings) -> FastAPI:
    """The application; it opens its services when it starts and closes them when it stops."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings) as services:
            app.state.services = services
            yield

    app = Application(
        settings,
        title="ELP Assistant",
        version="1",
        lifespan=lifespan,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    app.add_middleware(RequestSize)
    app.add_middleware(Compression)
    add_handlers(app)
    staff = (
        auth,
        passkeys,
        single_sign_on,
        shift,
        console_live,
        console_figures,
        console_together,
        console,
        key_pages,
        desk_pages,
        booking_pages,
        stranded_pages,
        calendar_pages,
        calendar_steps,
        calendar_blocks,
        calendar_feeds,
        admin,
    )
    people = (api, app_page, attachments, chat, pictures, visits, privacy, embed, posters, telegram)
    for part in (health, *people, appointments_api, console_api, *staff):
        app.include_router(part.router)
    app.mount("/static", static.files(settings))
    return app


def main() -> None:
    settings = Settings()
    set_up_logging(settings.log_level)
    config = uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=3,
        server_header=False,
    )
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main()
