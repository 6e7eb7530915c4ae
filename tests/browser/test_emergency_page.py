"""The emergency numbers without a network: kept only for who asks, in their language, and nothing private with them."""

import io
from collections.abc import Callable

import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Page, expect

from bot.phrases import say
from tests.browser.stack import Stack
from tests.browser.test_first_answer import answered, ask, watch, widest
from tests.browser.test_privacy import SECRET, leave, with_exit

pytestmark = pytest.mark.browser
Visit = Callable[..., BrowserContext]
WORKERS = "navigator.serviceWorker.getRegistrations().then(all => all.length)"
KEPT = """async () => {
  const kept = {};
  for (const name of await caches.keys())
    for (const request of await (await caches.open(name)).keys())
      kept[new URL(request.url).pathname] = await (await caches.match(request)).text();
  return kept;
}"""


def until(page: Page, script: str, argument: object = None) -> None:
    """`page.wait_for_function` would need `eval` in the page, which our policy forbids."""
    for _ in range(100):
        if page.evaluate(script, argument):
            return
        page.wait_for_timeout(100)
    pytest.fail(f"not within ten seconds: {script}")


def keep(page: Page, stack: Stack) -> None:
    page.goto(f"{stack.url}/offline")
    page.locator("#keep button").click()
    expect(page.locator("#kept button")).to_be_focused()
    until(page, "navigator.serviceWorker.controller !== null")


def kept(page: Page) -> dict[str, str]:
    return page.evaluate(KEPT)  # type: ignore[no-any-return]


def test_a_chat_leaves_no_worker_and_no_copy_behind_unless_asked(visit: Visit, stack: Stack) -> None:
    page = visit(locale="it").new_page()
    page.goto(stack.url)
    ask(page, "sportello elp")
    answered(page)
    page.goto(f"{stack.url}/offline")
    expect(page.locator("#keep")).to_be_visible()
    page.goto(stack.url)
    assert page.evaluate(WORKERS) == 0
    assert kept(page) == {}
    assert page.evaluate("sessionStorage.getItem('elp-answers')") is None


@pytest.mark.parametrize("language", ["it", "ar"])
def test_whoever_kept_the_page_reads_numbers_and_last_answers_without_a_network(
    visit: Visit, stack: Stack, language: str
) -> None:
    context = visit(locale=language)
    page = context.new_page()
    bad = watch(page, stack.url)
    keep(page, stack)
    page.screenshot(path=stack.screenshots / f"offline-kept-{language}-375.png", full_page=True)
    page.goto(stack.url)
    ask(page, "sportello elp")
    expect(page.locator("#log .card")).to_be_visible()
    assert bad == []
    context.set_offline(True)
    ask(page, "grazie")
    expect(page.locator("#outbox li.message")).to_have_count(1)
    page.reload()
    expect(page.locator("h1")).to_have_text(say(language, "offline.title"))
    expect(page.locator("#away")).to_contain_text(say(language, "offline.now"))
    numbers = page.locator(".numbers a").evaluate_all("all => all.map(one => one.getAttribute('href'))")
    assert numbers[0] == "tel:112"
    assert {"tel:1522", "tel:114", "tel:116000"} <= set(numbers)
    expect(page.locator("#answers .card")).to_contain_text("Movicentro")
    expect(page.locator("#answers button, #answers form")).to_have_count(0)
    expect(page.locator("#waiting .text")).to_have_text("grazie")
    assert page.locator("html").get_attribute("dir") == ("rtl" if language == "ar" else "ltr")
    assert widest(page) == 375
    page.screenshot(path=stack.screenshots / f"offline-page-{language}-375.png", full_page=True)
    context.set_offline(False)
    expect(page.locator("#log li.message.person")).to_have_count(2)  # the chat, by itself, with what waited
    expect(page.locator("#outbox")).to_be_hidden()


def test_only_public_files_are_kept_and_no_page_of_a_conversation(visit: Visit, stack: Stack) -> None:
    page = visit(locale="en").new_page()
    keep(page, stack)
    page.goto(stack.url)
    ask(page, SECRET)
    answered(page)
    page.goto(f"{stack.url}/privacy")
    page.goto(f"{stack.url}/offline")
    page.reload()
    inside = kept(page)
    assert "/offline" in inside
    assert all(path == "/offline" or path.startswith("/static/") for path in inside)
    assert SECRET not in "".join(inside.values())


def test_what_the_staff_opens_and_what_is_sent_never_passes_the_worker(visit: Visit, stack: Stack) -> None:
    context = visit(locale="en")
    page = context.new_page()
    keep(page, stack)
    served: list[str] = []
    page.on("response", lambda one: served.append(one.url.removeprefix(stack.url)) if one.from_service_worker else None)
    page.goto(stack.url)
    ask(page, "ciao")
    answered(page)
    for path in ("/console", "/admin/people", "/sign-in", "/api/v1/languages", "/healthz"):
        page.goto(stack.url + path)
    assert all(path.partition("?")[0] in ("/", "/offline") or path.startswith("/static/") for path in served), served
    context.set_offline(True)
    for path in ("/console", "/sign-in", "/mine/export"):
        with pytest.raises(Exception, match="ERR_INTERNET_DISCONNECTED"):
            page.goto(stack.url + path)


def test_a_new_language_or_version_takes_the_place_of_the_old_one(visit: Visit, stack: Stack) -> None:
    context = visit(locale="it")
    page = context.new_page()
    keep(page, stack)
    old = page.evaluate("caches.keys()")
    assert len(old) == 1
    page.goto(stack.url)
    page.locator(".languages summary").click()
    page.locator('.languages button[value="ar"]').click()
    expect(page.locator("html")).to_have_attribute("lang", "ar")
    until(page, "old => caches.keys().then(all => all.length === 1 && all[0] !== old)", old[0])
    assert say("ar", "offline.title") in kept(page)["/offline"]
    assert page.evaluate(WORKERS) == 1


def test_leaving_takes_worker_and_copies_away(visit: Visit, stack: Stack) -> None:
    context = with_exit(visit(locale="it"))
    page = context.new_page()
    keep(page, stack)
    page.goto(stack.url)
    ask(page, SECRET)
    answered(page)
    leave(page)
    page.goto(f"{stack.url}/static/icon.svg")  # a place of ours that starts nothing
    until(page, f"{WORKERS}.then(n => n === 0)")
    assert kept(page) == {}
    assert page.evaluate("sessionStorage.length + localStorage.length") == 0
    assert context.cookies() == []


def test_it_is_taken_away_again_by_its_own_button(visit: Visit, stack: Stack) -> None:
    page = visit(locale="it").new_page()
    keep(page, stack)
    page.locator("#kept button").click()
    expect(page.locator("#keep button")).to_be_focused()
    assert page.evaluate(WORKERS) == 0
    assert kept(page) == {}


def test_what_is_erased_cannot_be_read_without_a_network(visit: Visit, stack: Stack) -> None:
    context = visit(locale="en")
    page = context.new_page()
    keep(page, stack)
    page.goto(stack.url)
    ask(page, SECRET)
    answered(page)
    until(page, "(sessionStorage.getItem('elp-answers') || '').includes('melograno')")
    page.goto(f"{stack.url}/privacy")
    page.locator(".mine summary").click()
    page.locator(".mine details button").click()
    expect(page.get_by_role("status")).to_contain_text("Receipt number")
    context.set_offline(True)
    page.goto(stack.url)
    expect(page.locator("#away")).to_be_visible()
    assert SECRET not in page.content()


def test_it_can_be_installed_under_a_name_that_tells_nothing(visit: Visit, stack: Stack) -> None:
    context = visit(locale="ar")
    page = context.new_page()
    page.goto(stack.url)
    address = page.locator('link[rel="manifest"]').get_attribute("href")
    manifest = context.request.get(f"{stack.url}{address}").json()
    assert (manifest["lang"], manifest["dir"]) == ("ar", "rtl")
    assert manifest["display"] == "standalone"
    assert manifest["name"] == page.title() == say("ar", "app.name")
    assert "ELP" not in manifest["name"]
    for icon in manifest["icons"]:
        picture = Image.open(io.BytesIO(context.request.get(f"{stack.url}{icon['src']}").body()))
        assert "{}x{}".format(*picture.size) == icon["sizes"]
        assert picture.format == "PNG"
