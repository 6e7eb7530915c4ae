"""Our own styles and script, and the front-end libraries that `elp run` fetched from npm by lock file."""

import os
from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from backend.config import Settings

OWN = Path(__file__).parent / "static"


class _Static(StaticFiles):
    def __init__(self, folders: list[str | os.PathLike[str]]) -> None:
        super().__init__(directory=OWN)
        self.all_directories = folders

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        # Checked again by ETag each time: a small file, and an update is seen at once.
        response.headers["cache-control"] = "no-cache"
        return response


def files(settings: Settings) -> StaticFiles:
    return _Static([OWN, settings.data_dir / "frontend" / "static"])
