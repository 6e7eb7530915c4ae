"""The chat page as a browser without JavaScript uses it: forms, redirects, cookies."""

import re

import httpx
import pytest

pytestmark = pytest.mark.usefixtures("parser")
FORM = {"origin": "http://elp.test", "sec-fetch-site": "same-origin"}


async def send(client: httpx.AsyncClient, follow: bool = True, **form: str) -> httpx.Response:
    return await client.post("/messages", data=form, headers=FORM, follow_redirects=follow)


async def test_a_visit_alone_stores_nothing_and_sets_no_cookie(client: httpx.AsyncClient) -> None:
    response = await client.get("/", headers={"accept-language": "fr"})
    assert response.status_code == 200
    assert "set-cookie" not in response.headers
    assert "Bonjour" in response.text


async def test_a_question_typed_into_the_form_is_answered_on_the_next_page(client: httpx.AsyncClient) -> None:
    await client.get("/")
    response = await send(client, text="sportello elp")
    assert response.url.path == "/"
    assert "Movicentro" in response.text
    assert "sportello elp" in response.text


async def test_the_cookie_is_for_this_site_only_and_hidden_from_scripts(client: httpx.AsyncClient) -> None:
    response = await send(client, follow=False, text="ciao")
    cookie = response.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Max-Age" not in cookie  # gone when the browser is closed


async def test_a_button_is_a_form_too(client: httpx.AsyncClient) -> None:
    await send(client, text="ciao")
    response = await send(client, choice="topic:salute")
    assert "Salute" in response.text
    assert 'value="entry:' in response.text


async def test_our_own_words_have_the_direction_of_their_language_also_behind_a_latin_name(
    client: httpx.AsyncClient,
) -> None:
    await client.post("/messages?language=ur", data={"text": "ASL"}, headers=FORM)
    page = (await client.get("/?language=ur")).text
    ours, theirs = page.split('class="message person', 1)
    assert '<p class="text hello">' in ours
    assert '<p class="text" dir="auto">ASL' in theirs
    assert 'dir="auto"' not in ours.split("<main", 1)[1]


async def test_a_receipt_keeps_its_order_from_right_to_left(client: httpx.AsyncClient) -> None:
    for language, shown in (("ar", "\u206820261122-7603D869\u2069"), ("fr", " 20261122-7603D869")):
        page = await client.get(f"/privacy?language={language}&erased=20261122-7603D869")
        assert shown in page.text


async def test_the_language_changes_with_the_last_answer_again(client: httpx.AsyncClient) -> None:
    await send(client, text="sportello elp")
    response = await client.post("/language", data={"language": "ar"}, headers=FORM, follow_redirects=True)
    assert '<html lang="ar" dir="rtl">' in response.text
    assert "Movicentro" in response.text


async def test_the_same_form_sent_twice_is_one_message(client: httpx.AsyncClient) -> None:
    await send(client, text="ciao", client_message_id="first")
    await send(client, text="sportello elp", client_message_id="twice")
    response = await send(client, text="sportello elp", client_message_id="twice")
    assert len(re.findall(r'class="message person', response.text)) == 2


@pytest.mark.parametrize("text, sentence", [("   ", "vuoto"), ("x" * 10_000, "troppo lungo")])
async def test_a_message_that_cannot_be_taken_stays_in_the_field(
    client: httpx.AsyncClient, text: str, sentence: str
) -> None:
    await send(client, text="ciao")
    response = await send(client, text=text)
    assert response.status_code == 422
    assert sentence in response.text
    assert text.strip() in response.text


async def test_what_people_write_is_shown_as_text_and_never_as_markup(client: httpx.AsyncClient) -> None:
    response = await send(client, text='<img src=x onerror="alert(1)">{{ 7*7 }}')
    assert "<img" not in response.text
    assert "&lt;img src=x" in response.text
    assert "{{ 7*7 }}" in response.text


@pytest.mark.parametrize(
    "headers",
    [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"}],
)
async def test_a_form_on_another_site_cannot_write_here(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    for path, form in (("/messages", {"text": "ciao"}), ("/language", {"language": "en"})):
        response = await client.post(path, data=form, headers=headers)
        assert response.status_code == 403
        assert "set-cookie" not in response.headers


@pytest.mark.parametrize("cookie", ["x", "a.b", "00000000-0000-0000-0000-000000000000.abc", ".", "%00.%00", "é.x"])
async def test_a_broken_or_old_cookie_starts_anew(client: httpx.AsyncClient, cookie: str) -> None:
    headers = [*FORM.items(), ("cookie", f"elp_chat={cookie}".encode())]
    assert (await client.get("/", headers=headers)).status_code == 200
    response = await client.post("/messages", data={"text": "ciao"}, headers=headers)
    assert response.status_code == 303
    assert "elp_chat=" in response.headers["set-cookie"]


async def test_an_erased_conversation_is_followed_by_a_new_one(client: httpx.AsyncClient) -> None:
    await send(client, text="ciao")
    conversation, token = client.cookies["elp_chat"].split(".", 1)
    erased = await client.delete(f"/api/v1/conversations/{conversation}", headers={"authorization": f"Bearer {token}"})
    assert erased.status_code == 204
    response = await send(client, text="sportello elp")
    assert response.status_code == 200
    assert "Movicentro" in response.text


async def test_htmx_gets_only_the_new_messages(client: httpx.AsyncClient) -> None:
    response = await client.post("/messages", data={"text": "sportello elp"}, headers=FORM | {"hx-request": "true"})
    assert "<html" not in response.text
    assert len(re.findall(r'<li id="m\d+"', response.text)) == 2
    assert 'sse-connect="/events?after=' in response.text


async def test_a_page_that_does_not_exist_says_so_kindly(client: httpx.AsyncClient) -> None:
    response = await client.get("/nothing", headers={"accept-language": "en"})
    assert response.status_code == 404
    assert "There is nothing here" in response.text


async def test_arabic_pages_isolate_italian_addresses_and_numbers(client: httpx.AsyncClient) -> None:
    await client.post("/language", data={"language": "ar"}, headers=FORM)
    await send(client, text="ciao")
    response = await send(client, choice="entry:ivrea-politiche-sociali")
    assert '<bdi dir="ltr">0125 410227</bdi>' in response.text
    assert '<bdi lang="it" dir="ltr">Piazza Vittorio Emanuele 1' in response.text
    assert 'href="tel:0125410227"' in response.text
