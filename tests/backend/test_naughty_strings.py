"""Text that programs stumble over goes wherever somebody can write; nothing breaks and it stays text."""

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import quote, quote_plus

import httpx
import pytest

from backend.chat import LONGEST_MESSAGE, clean_text
from backend.services import Services
from tests.backend.test_api import open_talk
from tests.handovers import put_at_desk
from tests.naughty import naughty_strings
from tests.staff import FORM, StaffLogin, make_desk, make_organisation, make_staff

pytestmark = pytest.mark.usefixtures("parser")
STRINGS = naughty_strings()
ENCODED = {"content-type": "application/x-www-form-urlencoded"}
_VOID = frozenset({"meta", "link", "input", "img", "br", "hr", "source"})
_OURS = frozenset(
    """
    html head meta title link script body header main footer nav section form button details summary textarea input
    label select option optgroup fieldset legend ol ul li dl dt dd p span bdi a h1 h2 h3 h4 div strong em small time
    table thead tbody tr th td caption code pre img svg use br hr article aside figure figcaption audio source noscript
    kbd progress meter template dialog
    """.split()  # noqa: SIM905 - a list of a hundred words reads best as words
)


def batches(size: int) -> Iterator[list[str]]:
    """Few enough for all to be on one page."""
    yield from (STRINGS[start : start + size] for start in range(0, len(STRINGS), size))


def kept(text: str) -> bool:
    return 0 < len(clean_text(text)) <= LONGEST_MESSAGE


def refused_as(text: str) -> tuple[str, ...]:
    """JSON with half a surrogate pair is refused as a whole (RFC 8259 section 8.2), everything else by its length."""
    return ("invalid_request",) if is_half(text) else ("empty_message", "too_long")


def as_sent(text: str) -> str:
    """Two halves that meet in JSON are one letter."""
    return str(json.loads(json.dumps(text)))


def is_half(text: str) -> bool:
    return any(0xD800 <= ord(letter) < 0xE000 for letter in text)


def form(**fields: str) -> bytes:
    """As a browser that was tampered with might send it: half surrogates become bytes that are not UTF-8."""
    return "&".join(f"{name}={quote_plus(text, errors='surrogatepass')}" for name, text in fields.items()).encode()


class Page(HTMLParser):
    """What a browser would make of a page: its elements, and the words of each message."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.messages: list[str] = []
        self._open: list[str] = []
        self._in_text = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if "template" in self._open:  # nobody sees what stands in one
            self._open += [] if tag in _VOID else [tag]
            return
        classes = (attributes.get("class") or "").split()
        if tag == "li" and "person" in classes:
            self.messages.append("")
            self._in_text = True
        elif tag == "li":
            self._in_text = False
        if self._in_text and tag == "p" and "text" in classes and self.messages[-1]:
            self.messages[-1] += "\n\n"
        self._open += [] if tag in _VOID else ["text" if "text" in classes else tag]

    def handle_endtag(self, tag: str) -> None:
        if self._open:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._in_text and self._open and self._open[-1] == "text":
            self.messages[-1] += data

    def foreign(self) -> list[str]:
        """Whatever our templates would not have made."""
        found = []
        for tag, attributes in self.elements:
            found += [] if tag in _OURS else [tag]
            found += [name for name in attributes if name.startswith("on") or name in ("style", "srcdoc")]
            if tag == "script" and not (attributes.get("src") or "").startswith("/static/"):
                found.append("script")
            for name in ("href", "src", "action", "hx-get", "hx-post"):
                target = attributes.get(name) or ""
                if "evil.invalid" in target or target.lower().startswith(("javascript:", "vbscript:", "data:text")):
                    found.append(target)
        return found


def paragraphs(text: str) -> str:
    return "\n\n".join(part for part in text.split("\n\n") if part)


def test_there_are_many_and_no_two_are_the_same() -> None:
    assert len(STRINGS) >= 300
    assert len(set(STRINGS)) == len(STRINGS)


def test_the_file_itself_can_be_read_by_people() -> None:
    assert any(is_half(text) for text in STRINGS)
    assert "\x00" in STRINGS
    assert "a" * 3999 in STRINGS


async def test_the_api_takes_or_kindly_refuses_every_one_and_gives_back_what_it_took(
    client: httpx.AsyncClient,
) -> None:
    for batch in batches(80):
        talk = await open_talk(client, "en")
        expected = []
        for number, text in enumerate(map(as_sent, batch)):
            response = await client.post(
                f"{talk.path}/messages",
                content=json.dumps({"client_message_id": f"n{number}", "text": text}),
                headers=talk.headers | {"content-type": "application/json"},
            )
            if kept(text) and not is_half(text):
                assert response.status_code == 200, ascii(text[:80])
                assert response.json()["messages"][-1]["author"] in ("bot", "system")
                expected.append(clean_text(text))
            else:
                assert response.status_code == 422, ascii(text[:80])
                assert response.json()["code"] in refused_as(text)
        said = [one["text"] for one in await talk.messages() if one["author"] == "person"]
        assert said == expected
        export = (await client.get(f"{talk.path}/export", headers=talk.headers)).json()
        assert [one["text"] for one in export["messages"] if one["author"] == "person"] == expected


async def test_the_page_shows_every_one_as_the_text_it_is(client: httpx.AsyncClient) -> None:
    for batch in batches(80):
        client.cookies.clear()
        expected = []
        for text in batch:
            response = await client.post("/messages", content=form(text=text), headers=FORM | ENCODED)
            assert response.status_code in (303, 422), ascii(text[:80])
            if response.status_code == 303:
                sent = quote_plus(text, errors="surrogatepass")
                expected.append(paragraphs(clean_text(httpx.QueryParams(f"t={sent}")["t"])))
            else:
                assert not Page(response.text).foreign(), ascii(text[:80])
        page = Page((await client.get("/")).text)
        assert page.messages == expected
        assert not page.foreign()


async def test_the_live_page_gets_no_markup_of_theirs_either(client: httpx.AsyncClient) -> None:
    for text in STRINGS:
        response = await client.post(
            "/messages", content=form(text=text), headers=FORM | ENCODED | {"hx-request": "true"}
        )
        assert response.status_code in (200, 422), ascii(text[:80])
        assert not Page(response.text).foreign(), ascii(text[:80])


@pytest.mark.parametrize("field", ["choice", "client_message_id"])
async def test_a_tampered_form_does_no_harm(client: httpx.AsyncClient, field: str) -> None:
    for text in STRINGS:
        other = {"text": "ciao"} if field == "client_message_id" else {}
        response = await client.post("/messages", content=form(**other, **{field: text}), headers=FORM | ENCODED)
        assert response.status_code < 500, ascii(text[:80])
        assert not Page(response.text).foreign(), ascii(text[:80])


async def test_a_tampered_address_does_no_harm(client: httpx.AsyncClient) -> None:
    for text in STRINGS:
        quoted = quote(text, safe="", errors="surrogatepass")[:3000]
        for path in (f"/?draft={quoted}", f"/?language={quoted}", f"/{quoted}", f"/api/v1/entries/{quoted}"):
            response = await client.get(path)
            assert response.status_code < 500, path
            if response.headers.get("content-type", "").startswith("text/html"):
                assert not Page(response.text).foreign(), path


@pytest.mark.parametrize("language", ["it", "ar"])
async def test_search_finds_something_or_nothing_and_never_fails(client: httpx.AsyncClient, language: str) -> None:
    for text in STRINGS:
        quoted = quote(text, safe="", errors="surrogatepass")
        response = await client.get(f"/api/v1/entries?language={language}&q={quoted}")
        assert response.status_code in (200, 422), ascii(text[:80])
        if response.status_code == 422:
            assert len(text.encode("utf-8", "surrogatepass")) > 500
        else:
            assert set(response.json()) == {"entries", "total", "page"}


@pytest.mark.parametrize(
    "name", ["accept-language", "user-agent", "last-event-id", "cookie", "host", "x-forwarded-for"]
)
async def test_headers_of_any_kind_do_no_harm(client: httpx.AsyncClient, name: str) -> None:
    for text in STRINGS:
        value = text.encode("utf-8", "surrogatepass").replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"")[:2000]
        response = await client.get("/", headers={name: b"elp_chat=" + value if name == "cookie" else value})
        assert response.status_code < 500, ascii(text[:80])
        assert not Page(response.text).foreign(), ascii(text[:80])


# Staff.


async def post_all(client: httpx.AsyncClient, path: str, cookies: dict[str, str], field: str, **others: str) -> None:
    """The answer to each is a page or a redirect; a page shows what was typed as the text it is."""
    client.cookies = httpx.Cookies(cookies)
    for text in STRINGS:
        response = await client.post(path, content=form(**{field: text}, **others), headers=FORM | ENCODED)
        assert response.status_code < 500, ascii(text[:80])
        assert response.headers.get("content-type", "text/html").startswith("text/html")
        assert response.status_code != 403
        if "<" in text and "/>" not in text:
            assert text not in response.text, ascii(text[:80])


@pytest.fixture
async def administrator(services: Services) -> StaffLogin:
    return await make_staff(services, "administrator")


async def test_the_sign_in_refuses_every_one_and_shows_it_as_text(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.passwords._verify", lambda *_: False)
    await post_all(client, "/sign-in", {}, "email", password="x", next="/console")
    await post_all(client, "/sign-in", {}, "next", email="x@elp.test", password="x")


async def test_organisations_and_desks_may_have_any_name(
    client: httpx.AsyncClient, services: Services, administrator: StaffLogin
) -> None:
    organisation = await make_organisation(services)
    desk = await make_desk(services, organisation)
    await post_all(client, f"/admin/organisations/{organisation}", administrator.cookies, "name")
    await post_all(client, f"/admin/desks/{desk}", administrator.cookies, "name", entry="")
    await post_all(client, f"/admin/desks/{desk}", administrator.cookies, "entry", name="x")
    await post_all(client, f"/admin/organisations/{organisation}/desks", administrator.cookies, "name", entry="")
    for path in ("/admin/organisations", f"/admin/desks/{desk}", "/admin/people", "/admin/people/new", "/admin/audit"):
        response = await client.get(path)
        assert response.status_code == 200
        assert not Page(response.text).foreign()


async def test_people_may_have_any_name(
    client: httpx.AsyncClient, services: Services, administrator: StaffLogin
) -> None:
    place = str(await make_organisation(services))
    others = {"language": "it", "role": "editor", "place": place}
    await post_all(client, "/admin/people/new", administrator.cookies, "name", email="n@elp.test", **others)
    await post_all(client, "/admin/people/new", administrator.cookies, "email", name="x", **others)
    await post_all(client, "/account/profile", administrator.cookies, "name", language="it")
    for path in ("/admin/people", "/account"):
        response = await client.get(path)
        assert response.status_code == 200
        assert not Page(response.text).foreign()


async def test_an_operator_reads_every_one_as_text(client: httpx.AsyncClient, services: Services) -> None:
    organisation = await make_organisation(services)
    desk = await make_desk(services, organisation)
    operator = await make_staff(services, "operator", organisation=organisation, desk=desk)
    for batch in batches(80):
        talk = await open_talk(client)
        for text in batch:
            if kept(text):
                await talk.post(text=clean_text(text))
        await put_at_desk(services, talk.id, desk)
        for path in ("/console", f"/console/conversations/{talk.id}"):
            response = await client.get(path, headers={"cookie": f"elp_staff={operator.cookies['elp_staff']}"})
            assert response.status_code == 200, response.text[:500]
            assert not Page(response.text).foreign()
