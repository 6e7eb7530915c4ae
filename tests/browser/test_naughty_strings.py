"""A real browser shows text that programs stumble over, and nothing of it does anything."""

import json
import time
from collections.abc import Callable
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import BrowserContext, Page

from backend.chat import LONGEST_MESSAGE, clean_text
from tests.browser.stack import Stack
from tests.naughty import naughty_strings

pytestmark = pytest.mark.browser
Visit = Callable[..., BrowserContext]
BATCH = 25
"""Messages in one conversation: less than the limit for a minute."""


def writable() -> list[str]:
    """Those that can be sent at all, as they are stored."""
    halves = [text for text in naughty_strings() if not any(0xD800 <= ord(one) < 0xE000 for one in text)]
    return [text for text in map(clean_text, halves) if 0 < len(text) <= LONGEST_MESSAGE]


def post(url: str, body: dict[str, str], token: str = "") -> dict[str, object]:
    """Waits when it is told to, as a program should."""
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    while True:
        try:
            with urlopen(Request(url, json.dumps(body).encode(), headers), timeout=30) as answer:
                return json.load(answer)  # type: ignore[no-any-return]
        except HTTPError as error:
            with error:
                if error.code != 429:
                    raise
                time.sleep(int(error.headers["retry-after"]))


def conversation(stack: Stack, texts: list[str]) -> str:
    """The value of the cookie of a conversation in which all of them were said."""
    opened = post(f"{stack.url}/api/v1/conversations", {"language": "en"})
    for number, text in enumerate(texts):
        path = f"{stack.url}/api/v1/conversations/{opened['id']}/messages"
        post(path, {"client_message_id": f"n{number}", "text": text}, str(opened["token"]))
    return f"{opened['id']}.{opened['token']}"


def watch(page: Page, url: str) -> list[str]:
    """Whatever a text could do if it were more than text."""
    happened: list[str] = []

    def closed(dialog: object) -> None:
        happened.append("dialog")
        dialog.dismiss()  # type: ignore[attr-defined]

    page.on("dialog", closed)
    page.on("popup", lambda _: happened.append("popup"))
    page.on("pageerror", lambda error: happened.append(str(error)))
    page.on("console", lambda one: happened.append(one.text) if one.type in ("error", "warning") else None)
    page.on("request", lambda one: None if one.url.startswith((url, "data:")) else happened.append(one.url))
    return happened


def said(page: Page) -> list[str]:
    """The words of each message of the person, as they stand in the page."""
    script = (
        """items => items.map(item => [...item.querySelectorAll("p.text")].map(p => p.textContent).join("\\n\\n"))"""
    )
    return page.locator("li.message.person").evaluate_all(script)  # type: ignore[no-any-return]


def paragraphs(text: str) -> str:
    return "\n\n".join(part for part in text.split("\n\n") if part)


def test_nothing_that_people_write_runs_moves_or_disappears(visit: Visit, stack: Stack) -> None:
    texts = writable()
    assert len(texts) > 300
    for start in range(0, len(texts), BATCH):
        batch = texts[start : start + BATCH]
        context = visit(viewport={"width": 375, "height": 740}, locale="en")
        context.add_cookies([{"name": "elp_chat", "value": conversation(stack, batch), "url": stack.url}])
        page = context.new_page()
        happened = watch(page, stack.url)
        page.goto(stack.url)
        page.wait_for_timeout(150)
        assert said(page) == [paragraphs(text) for text in batch]
        assert page.evaluate("window.pwned") is None
        assert happened == []
        assert page.url.startswith(stack.url)
        for ours in ("h1", "#log", "form#compose", "textarea#text", "footer.write"):
            assert page.locator(ours).count() == 1, ours
        assert page.locator("footer.write").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
        page.screenshot(path=str(stack.screenshots / f"naughty-{start // BATCH:02}.png"))
        context.close()
