"""Somebody who listens and speaks, with stand-ins: Chromium without a screen has no voices and hears nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from backend.config import Settings
from tests.browser.stack import Stack
from tests.browser.test_first_answer import watch

EXIT = str(Settings.model_fields["exit_url"].default)
PLACE = "casa-delle-donne-ivrea"
ADDRESS = "Piazza Mascagni 11, Ivrea"

VOICES = """
window.happened = [];
const heard = (what) => happened.push(what);
const voices = new EventTarget();
voices.list = %s.map((lang) => ({ lang, name: lang, localService: !lang.endsWith("-far") }));
voices.getVoices = () => voices.list;
voices.speak = (said) => {
  heard({ lang: said.lang, text: said.text });
  waiting.push(said);
  said.onstart();
};
voices.cancel = () => { heard({ silent: true }); localStorage.silent = "yes"; };
const waiting = [];
voices.finish = () => waiting.splice(0).forEach((said) => said.onend && said.onend());
Object.defineProperty(window, "speechSynthesis", { value: voices });
window.SpeechSynthesisUtterance = function (text) { this.text = text; };
"""
EARS = """
window.SpeechRecognition = window.webkitSpeechRecognition = class {
  start() { window.ear = this; heard({ listens: this.lang }); }
  stop() { this.onend(); }
  abort() { heard({ aborted: true }); }
  says(...parts) { this.onresult({ results: parts.map((transcript) => [{ transcript }]) }); }
  fails(error) { this.onerror({ error }); this.onend(); }
};
"""


@dataclass
class Reader:
    """Somebody with the card of an entry in front of them."""

    page: Page

    @property
    def heard(self) -> list[dict[str, Any]]:
        """By the stand-ins, in order."""
        return list(self.page.evaluate("happened"))

    @property
    def card(self) -> Locator:
        return self.page.locator(".card").last

    def tool(self, name: str) -> Locator:
        return self.page.locator(f'.tools [data-does="{name}"]').last

    def more(self) -> None:
        self.page.locator(".tools summary").last.click()

    @property
    def spoken(self) -> list[tuple[str, str]]:
        return [(said["lang"], said["text"].strip()) for said in self.heard if "text" in said]

    @property
    def silenced(self) -> int:
        return sum("silent" in said for said in self.heard)


@pytest.fixture
def reader(visit: Callable[..., BrowserContext], stack: Stack) -> Iterator[Callable[..., Reader]]:
    watched: list[list[str]] = []

    def open_(
        language: str,
        *entries: str,
        voices: tuple[str, ...] = ("it_IT", "ar-EG", "en-US"),
        script: str = EARS,
        **wishes: Any,
    ) -> Reader:
        context = visit(locale=language, **wishes)
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=stack.url)
        context.add_init_script(VOICES % list(voices) + script)
        page = context.new_page()
        watched.append(watch(page, stack.url))
        for number, entry in enumerate(entries or (PLACE,)):
            form: dict[str, str | float | bool] = {"choice": f"entry:{entry}", "client_message_id": f"read-{number}"}
            headers = {"sec-fetch-site": "same-origin", "accept-language": language}
            context.request.post(f"{stack.url}/messages", form=form, headers=headers)
        page.goto(stack.url)
        expect(page.locator(".card")).to_have_count(len(entries or (PLACE,)))
        return Reader(page)

    yield open_
    assert [what for one in watched for what in one if not what.startswith(EXIT)] == []
