"""Chromium against the real thing: PostgreSQL, Rasa, the web server in a process of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from backend.config import Settings
from backend.local_nlu import free_port, local_nlu
from backend.postgres import EmbeddedServer
from tests.browser.reader import reader  # noqa: F401 (a fixture)
from tests.browser.stack import Stack
from tests.conftest import SECRET_KEYS

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


@pytest.fixture(scope="session")
def stack(postgres: EmbeddedServer) -> Iterator[Stack]:
    """One whole service with example hours, for all browser tests of this process. `elp test` has installed and trained
    what it needs. Whoever changes a desk makes one (`new_office`)."""
    settings, port = Settings(), free_port()
    shots = settings.data_dir / "screenshots"
    shots.mkdir(parents=True, exist_ok=True)
    with local_nlu(settings) as nlu_url:
        ours = {"ELP_DATABASE_URL": postgres.url, "ELP_NLU_URL": nlu_url, "ELP_NLU_TIMEOUT_MS": "3000"}
        ours |= {"ELP_PORT": str(port), "ELP_DATA_DIR": str(settings.data_dir), "ELP_HOST": "127.0.0.1"}
        ours |= {"ELP_SECRET_KEYS": SECRET_KEYS.get_secret_value(), "ELP_RATE_LIMITS": "off"}
        ours |= {"ELP_PUBLIC_URL": f"http://localhost:{port}"}
        seed = [sys.executable, "-m", "backend.cli", "seed", "--demo"]
        subprocess.run(seed, env=os.environ | ours, check=True)
        made = Stack(port, postgres.url, ours, shots)
        try:
            made.start()
            yield made
        finally:
            made.stop()


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
