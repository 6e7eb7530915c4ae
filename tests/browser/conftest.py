"""Chromium against the real thing: PostgreSQL, Rasa, the web server in a process of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from backend.config import Settings
from backend.encryption import new_key
from backend.local_nlu import free_port, local_nlu, wait_until_answers
from backend.postgres import temporary

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# What is right on a busy machine comes later, not never.
expect.set_options(timeout=15_000)


@dataclass(frozen=True)
class Stack:
    url: str
    screenshots: Path


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """One whole service for all browser tests. `elp test` has installed and trained what it needs."""
    settings = Settings()
    shots = settings.data_dir / "screenshots"
    shots.mkdir(parents=True, exist_ok=True)
    with temporary() as server, local_nlu(settings) as nlu_url:
        port = free_port()
        ours = {"ELP_DATABASE_URL": server.url, "ELP_NLU_URL": nlu_url, "ELP_NLU_TIMEOUT_MS": "3000"}
        ours |= {"ELP_PORT": str(port), "ELP_DATA_DIR": str(settings.data_dir), "ELP_HOST": "127.0.0.1"}
        ours |= {"ELP_SECRET_KEYS": new_key(), "ELP_RATE_LIMITS": "off"}
        for command in ("migrate", "seed"):
            subprocess.run([sys.executable, "-m", "backend.cli", command], env=os.environ | ours, check=True)
        log = (shots / "web.log").open("wb")
        web = subprocess.Popen([sys.executable, "-m", "backend.main"], env=os.environ | ours, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_answers(f"{url}/readyz", web)
            yield Stack(url, shots)
        finally:
            web.terminate()
            web.wait(15)
            log.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.fail("The browser tests need Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser) -> Iterator[object]:
    """Opens a fresh browser profile of a given size; closes it afterwards."""
    opened: list[BrowserContext] = []

    def open_context(**wishes: object) -> BrowserContext:
        wishes.setdefault("viewport", {"width": 375, "height": 740})
        context = chromium.new_context(**wishes)  # type: ignore[arg-type]
        context.set_default_timeout(10_000)
        opened.append(context)
        return context

    yield open_context
    for context in opened:
        context.close()
