"""The chat inside another site's page: a real foreign site, a real frame, cookies of a third party."""

import io
import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, FrameLocator, Page, Request, expect

from backend.config import Settings
from backend.local_nlu import free_port
from bot.phrases import say
from tests.browser.conftest import FLAGS
from tests.browser.stack import Stack
from tests.browser.test_privacy import EXIT, SECRET, with_exit

pytestmark = pytest.mark.browser
Visit = Callable[..., BrowserContext]
PAGE = """<!doctype html><html lang="{language}" dir="{dir}"><head><meta charset="utf-8"><title>A town</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="content-security-policy" content="{policy}">
<style nonce="own">* {{ margin: 40px !important; color: red !important; font-size: 9px; display: block }}
button, a, iframe, dialog {{ border: 9px solid red !important; position: static !important }}</style></head>
<body><h1>A town</h1><p>Office hours</p>{scripts}</body></html>"""


class Town:
    """A site of somebody else's: another site than the chat's, as browsers count."""

    def __init__(self, chat: str) -> None:
        self.chat, self.pages = chat, dict[str, str]()
        town = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = town.pages.get(self.path.partition("?")[0], "").encode()
                self.send_response(200 if body else 404)
                self.send_header("content-type", "text/html; charset=utf-8")
                self.send_header("referrer-policy", "unsafe-url")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def page(self, path: str, *lines: str, rtl: bool = False) -> str:
        """Of a site that allows what `docs/embedding.md` asks for, and nothing more. Returns its address."""
        policy = f"default-src 'none'; style-src 'nonce-own'; script-src {self.chat}; frame-src {self.chat}"
        language, direction = ("ar", "rtl") if rtl else ("it", "ltr")
        scripts = "".join(lines)
        self.pages[path] = PAGE.format(language=language, dir=direction, policy=policy, scripts=scripts)
        return self.url + path

    def line(self, more: str = 'data-language="it"') -> str:
        return f'<script src="{self.chat}/embed.js" {more} async></script>'


@pytest.fixture(scope="module")
def chat(stack: Stack) -> Iterator[tuple[Stack, Town, Town]]:
    """A web server that lets one town show the chat, that town, and one it knows nothing of."""
    port = free_port()
    friend, stranger = (Town(f"http://localhost:{port}") for _ in range(2))
    more = {"ELP_PORT": str(port), "ELP_PUBLIC_URL": friend.chat, "ELP_EMBED_ORIGINS": friend.url}
    server = Stack(port, stack.database_url, stack.environment | more, stack.screenshots)
    try:
        server.start()
        yield server, friend, stranger
    finally:
        server.stop()
        for town in (friend, stranger):
            town.server.shutdown()
            town.server.server_close()


@pytest.fixture
def town(chat: tuple[Stack, Town, Town]) -> Town:
    return chat[1]


@pytest.fixture
def stranger(chat: tuple[Stack, Town, Town]) -> Town:
    return chat[2]


def opened(page: Page, name: str = "Fai una domanda") -> FrameLocator:
    page.get_by_role("button", name=name).click()
    return page.frame_locator("elp-chat iframe")


def ask(inside: FrameLocator, text: str) -> None:
    inside.locator("#text").fill(text)
    inside.locator(".send").click()
    expect(inside.locator("li.message.person + li.message.bot").last).to_be_visible()


def complaints(page: Page) -> list[str]:
    bad: list[str] = []
    page.on("console", lambda message: bad.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: bad.append(str(error)))
    return bad


def test_one_line_puts_the_chat_on_a_site_and_it_remembers_from_page_to_page(visit: Visit, town: Town) -> None:
    first, second = town.page("/", town.line()), town.page("/offices", town.line())
    context = visit(locale="en", viewport={"width": 1280, "height": 800})
    asked: list[Request] = []
    context.on("request", lambda request: asked.append(request))  # noqa: PLW0108 - Playwright marks what it calls
    page = context.new_page()
    bad = complaints(page)
    page.goto(first)
    expect(page.get_by_role("button", name="Fai una domanda")).to_be_visible()
    assert [request.url for request in asked if request.url.startswith(town.chat)] == [f"{town.chat}/embed.js"]
    inside = opened(page)
    expect(inside.locator("html")).to_have_attribute("lang", "it")  # as the site wishes
    ask(inside, "sportello elp")
    expect(inside.locator(".card")).to_have_count(1)
    cookies = {one["name"]: one for one in context.cookies(f"{town.chat}/embed/")}
    assert set(cookies) == {"__Host-elp_chat_embedded", "elp_site_language_embedded"}
    for cookie in cookies.values():
        assert cookie["secure"]
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "None"
        assert cookie["expires"] == -1
        assert cookie.get("partitionKey")
    page.goto(second)
    inside = opened(page)
    expect(inside.locator(".card")).to_have_count(1)
    ask(inside, "grazie")
    expect(inside.locator("li.message.person")).to_have_count(2)
    assert bad == []
    # None of it is told to the chat's server by the browser, although this site tells everybody where people are.
    assert all(town.url not in (one.headers.get("referer") or "") for one in asked if "/embed/" in one.url)


def test_what_is_said_there_is_not_shown_at_home_nor_the_other_way(visit: Visit, town: Town) -> None:
    context = visit(locale="it")
    home = context.new_page()
    home.goto(town.chat)
    home.locator("#text").fill(SECRET)
    home.locator(".send").click()
    expect(home.locator("li.message.person + li.message.bot").last).to_be_visible()
    page = context.new_page()
    page.goto(town.page("/", town.line()))
    inside = opened(page)
    expect(inside.locator("li.message.bot").first).to_be_visible()
    expect(inside.locator("li.message.person")).to_have_count(0)
    ask(inside, "ciao")
    home.reload()
    expect(home.locator("li.message.person")).to_have_count(1)


def test_browsers_that_refuse_cookies_of_third_parties_keep_these(chromium: Browser, town: Town) -> None:
    flags = [*FLAGS, "--test-third-party-cookie-phaseout"]
    browser = chromium.browser_type.launch(executable_path=_executable(), args=flags)
    try:
        page = browser.new_context(locale="it").new_page()
        page.goto(town.page("/", town.line()))
        inside = opened(page)
        ask(inside, "sportello elp")
        page.reload()
        expect(opened(page).locator(".card")).to_have_count(1)
    finally:
        browser.close()


def _executable() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found
    return found


@pytest.mark.parametrize("width", [320, 375, 1280])
@pytest.mark.parametrize("language", ["it", "ar"])
def test_focus_goes_in_and_comes_back_and_nothing_of_the_site_shows_through(
    visit: Visit, town: Town, language: str, width: int
) -> None:
    address = town.page("/", town.line(f'data-language="{language}"'), rtl=language == "ar")
    page = visit(locale=language, viewport={"width": width, "height": 640}).new_page()
    page.goto(address)
    way_in = page.locator("elp-chat .open")
    box = way_in.bounding_box()
    assert box is not None
    assert box["height"] >= 44
    assert (box["x"] if language == "ar" else width - box["x"] - box["width"]) == pytest.approx(16, abs=1)
    assert way_in.evaluate("one => getComputedStyle(one).color") == "rgb(255, 255, 255)"
    page.screenshot(path=f"{_shots()}/embed-closed-{language}-{width}.png")
    way_in.focus()
    page.keyboard.press("Enter")
    inside = page.frame_locator("elp-chat iframe")
    expect(inside.locator("li.message.bot").first).to_be_visible()
    assert page.evaluate("document.querySelector('elp-chat').shadowRoot.activeElement.tagName") == "IFRAME"
    assert inside.locator("body").evaluate("one => one.scrollWidth <= innerWidth")
    for name in ("✕", "↗"):
        target = page.locator("elp-chat .bar").get_by_text(name).bounding_box()
        assert target is not None
        assert min(target["width"], target["height"]) >= 44
    panel = page.locator("elp-chat dialog").bounding_box()
    assert panel is not None
    assert panel["x"] >= 0
    assert panel["x"] + panel["width"] <= width
    assert (panel["width"] == width) is (width < 480)
    page.screenshot(path=f"{_shots()}/embed-open-{language}-{width}.png")
    page.keyboard.press("Escape")
    expect(page.locator("elp-chat dialog")).to_be_hidden()
    expect(way_in).to_be_focused()
    way_in.click()
    expect(inside.locator("li.message.bot").first).to_be_visible()  # as it was left
    page.locator("elp-chat .bar button").click()
    expect(way_in).to_be_focused()


def _shots() -> str:
    return str(Settings().data_dir / "screenshots")


def test_the_same_line_twice_is_one_button_and_no_name_is_left_behind(visit: Visit, town: Town) -> None:
    plain = visit().new_page()
    plain.goto(town.page("/plain"))
    page = visit().new_page()
    page.goto(town.page("/", town.line(), town.line('data-language="ar"'), town.line()))
    expect(page.locator("elp-chat")).to_have_count(1)
    page.wait_for_load_state("networkidle")
    expect(page.locator("elp-chat")).to_have_count(1)
    names = "Object.getOwnPropertyNames(window).sort().join()"
    assert page.evaluate(names) == plain.evaluate(names)
    assert page.evaluate("document.styleSheets.length") == plain.evaluate("document.styleSheets.length")


def test_it_opens_with_the_topic_of_the_page(visit: Visit, town: Town) -> None:
    page = visit(locale="it").new_page()
    page.goto(town.page("/", town.line('data-language="fr" data-topic="abitare"')))
    inside = opened(page, say("fr", "embed.open"))
    expect(inside.locator("html")).to_have_attribute("lang", "fr")
    expect(inside.locator(".choices .entry button").first).to_be_visible()
    inside.locator(".choices .entry button").first.click()
    expect(inside.locator(".card")).to_be_visible()


def test_the_language_that_a_person_chooses_goes_before_that_of_the_site(visit: Visit, town: Town) -> None:
    page = visit(locale="it").new_page()
    page.goto(town.page("/", town.line()))
    inside = opened(page)
    inside.locator(".languages summary").click()
    inside.locator('.languages button[value="ar"]').click()
    expect(inside.locator("html")).to_have_attribute("lang", "ar")
    page.reload()
    expect(opened(page).locator("html")).to_have_attribute("lang", "ar")


@pytest.mark.parametrize("how", ["button", "keyboard", "keyboard-privacy"])
def test_leaving_quickly_inside_leaves_the_whole_page_and_erases(visit: Visit, town: Town, how: str) -> None:
    context = with_exit(visit(locale="it"))
    page = context.new_page()
    address = town.page("/", town.line())
    page.goto(address)
    inside = opened(page)
    ask(inside, SECRET)
    if how.endswith("privacy"):
        inside.locator('a[href="/embed/privacy"]').first.evaluate("link => link.click()")
        expect(inside.locator(".mine")).to_contain_text("1")
        inside.locator("h1").click()
    with page.expect_request(lambda request: request.url == f"{town.chat}/embed/leave") as left:
        if how == "button":
            inside.locator(".leave button").click()
        else:
            for _ in range(3):
                page.keyboard.press("Escape")
        page.wait_for_url(EXIT)
    assert left.value.method == "POST"
    page.goto(address)
    fresh = opened(page)
    expect(fresh.locator("li.message.bot").first).to_be_visible()
    expect(fresh.locator("li.message.person")).to_have_count(0)
    assert SECRET not in fresh.locator("body").inner_text()


def test_escape_on_the_sites_own_page_means_what_the_site_says(visit: Visit, town: Town) -> None:
    page = with_exit(visit(locale="it")).new_page()
    address = town.page("/", town.line())
    page.goto(address)
    expect(page.locator("elp-chat .open")).to_be_visible()
    for _ in range(4):
        page.keyboard.press("Escape")
    page.wait_for_timeout(500)
    assert page.url == address


def test_words_of_others_do_not_make_the_page_leave(visit: Visit, town: Town) -> None:
    page = with_exit(visit(locale="it")).new_page()
    address = town.page("/", town.line())
    page.goto(address)
    inside = opened(page)
    expect(inside.locator("li.message.bot").first).to_be_visible()
    page.evaluate("for (const word of ['elp-leave', 'elp-escape']) window.postMessage(word, '*')")
    page.wait_for_timeout(500)
    assert page.url == address
    expect(page.locator("elp-chat dialog")).to_be_visible()


def test_a_site_that_is_not_named_gets_a_link_and_no_frame(visit: Visit, stranger: Town) -> None:
    context = visit(locale="it")
    page = context.new_page()
    page.goto(stranger.page("/", stranger.line('data-language="it" data-topic="abitare"')))
    link = page.get_by_role("link", name="Fai una domanda")
    with context.expect_page() as opening:
        link.click()
    expect(opening.value.locator(".choices .entry button").first).to_be_visible()
    assert opening.value.url.startswith(f"{stranger.chat}/?")
    assert opening.value.evaluate("window.opener") is None


@pytest.mark.parametrize("path", ["/", "/embed/", "/privacy", "/sign-in", "/console", "/static/icon.svg", "/poster/1"])
def test_nobody_can_lay_a_page_of_ours_into_theirs(visit: Visit, stranger: Town, path: str) -> None:
    page = visit(locale="it").new_page()
    bad = complaints(page)
    page.goto(stranger.page("/trap", f'<iframe src="{stranger.chat}{path}"></iframe>'))
    page.frames[1].wait_for_url("chrome-error://**")
    assert any("frame-ancestors" in one for one in bad)


@pytest.mark.parametrize("path", ["/", "/privacy", "/sign-in", "/console"])
def test_also_the_site_that_shows_the_chat_shows_nothing_else_of_ours(visit: Visit, town: Town, path: str) -> None:
    page = visit(locale="it").new_page()
    page.goto(town.page("/trap", f'<iframe src="{town.chat}{path}"></iframe>'))
    page.frames[1].wait_for_url("chrome-error://**")


def test_where_the_browser_keeps_nothing_the_way_to_a_window_is_shown(
    chromium: Browser, town: Town, tmp_path: Path
) -> None:
    no_cookies = {"profile": {"default_content_setting_values": {"cookies": 2}}}
    (tmp_path / "Default").mkdir()
    (tmp_path / "Default" / "Preferences").write_text(json.dumps(no_cookies), encoding="utf-8")
    kind = chromium.browser_type
    with kind.launch_persistent_context(tmp_path, executable_path=_executable(), args=list(FLAGS)) as context:
        page = context.new_page()
        page.goto(town.page("/", town.line('data-language="en" data-topic="abitare"')))
        inside = opened(page, "Ask a question")
        link = inside.get_by_role("link", name="Open in a new window")
        expect(link).to_be_visible()
        expect(inside.locator("#text")).to_have_count(0)
        expect(inside.locator(".leave button")).to_be_visible()
        page.screenshot(path=f"{_shots()}/embed-keeps-nothing.png")
        with context.expect_page() as opening:
            link.click()
        expect(opening.value.locator("html")).to_have_attribute("lang", "en")
        expect(opening.value.locator(".choices .entry button").first).to_be_visible()
        assert opening.value.url == f"{town.chat}/?language=en&topic=abitare"


def test_what_is_opened_elsewhere_comes_with_the_cookies_of_the_frame(visit: Visit, town: Town) -> None:
    page = visit(locale="it").new_page()
    page.goto(town.page("/", town.line()))
    inside = opened(page)
    ask(inside, "ciao")
    with page.expect_response(lambda one: one.url.endswith("/embed/attachments")):
        inside.locator("#file").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": _picture()})
    with page.expect_download() as download:
        inside.locator(".picture").click()
    assert download.value.path().stat().st_size > 0
    ask(inside, "che cosa sai di me?")
    with page.expect_download() as download:
        inside.locator('a[href="/embed/mine/export"]').click()
    assert "che cosa sai di me?" in download.value.path().read_text(encoding="utf-8")


def _picture() -> bytes:
    kept = io.BytesIO()
    Image.new("RGB", (40, 40), "green").save(kept, "PNG")
    return kept.getvalue()


def test_nothing_moves_when_motion_is_unwelcome(visit: Visit, town: Town) -> None:
    page = visit(locale="it", reduced_motion="reduce").new_page()
    page.goto(town.page("/", town.line()))
    opened(page)
    moving = (
        "[...document.querySelector('elp-chat').shadowRoot.querySelectorAll('*')].flatMap(one => one.getAnimations())"
    )
    assert page.evaluate(f"{moving}.length") == 0


@pytest.mark.parametrize("languages", ["it", "it,ar", "it,en,fr", "it,en,fr,ar", "it,en,fr,ar,zh", "it,en,fr,ro,uk,bn"])
def test_a_poster_is_one_sheet_of_paper_and_fits_the_smallest_screen(visit: Visit, town: Town, languages: str) -> None:
    page = visit(locale="it", viewport={"width": 320, "height": 640}).new_page()
    bad = complaints(page)
    page.goto(f"{town.chat}/poster/1?languages={languages}")
    expect(page.locator(".poster .code")).to_have_count(languages.count(",") + 1)
    expect(page.get_by_role("button", name="Stampa")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    sheets = re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))
    assert len(sheets) == 1
    assert bad == []
