"""Many people with the same question are answered at once, each for themselves."""

import asyncio
import contextlib
import html
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from backend.errors import InvalidRequest
from backend.models import AuditEvent, Conversation, Handover, Message
from backend.services import Services
from backend.web.console_together import _chosen
from bot.phrases import SPOKEN, say
from bot.translation import Translation
from tests.backend.test_api import Talk, open_talk
from tests.handovers import put_at_desk
from tests.staff import Browser, Browsers, browsers, give_role, make_desk, make_organisation

pytestmark = pytest.mark.usefixtures("parser")
SOMEBODY = "6f1f8a52-3c1b-4f57-9a44-0d6a3f1c2b7e"
PERMIT = "come faccio a rinnovare il permesso di soggiorno?"
PERMIT_FR = "comment renouveler mon permis de séjour ?"
ANSWER = "Lo sportello apre lunedì alle 9."


@dataclass
class Place:
    services: Services
    http: httpx.AsyncClient
    organisation: int
    desk: int

    async def wait(self, *words: str, language: str = "it", desk: int | None = None, **values: Any) -> Talk:
        talk = await open_talk(self.http, language)
        for one in words:
            await talk.say(one)
        await put_at_desk(self.services, talk.id, desk or self.desk, language=language, **values)
        return talk

    async def state(self, talk: Talk) -> str:
        async with self.services.sessions.begin() as session:
            return str(await session.scalar(select(Conversation.state).where(Conversation.id == UUID(talk.id))))

    async def replies(self, talk: Talk) -> list[Message]:
        async with self.services.sessions.begin() as session:
            own = (Message.conversation_id == UUID(talk.id), Message.author == "operator")
            return list((await session.execute(select(Message).where(*own))).scalars())


@pytest.fixture
async def place(services: Services, client: httpx.AsyncClient) -> Place:
    organisation = await make_organisation(services)
    return Place(services, client, organisation, await make_desk(services, organisation, "Sportello"))


@pytest.fixture
async def opened(app: FastAPI) -> AsyncIterator[Browsers]:
    async with browsers(app) as found:
        yield found


@pytest.fixture
async def operator(opened: Browsers, place: Place) -> Browser:
    return await opened("operator", organisation=place.organisation, desk=place.desk, name="Olga")


class FakeTranslator:
    """Into French only, and in capitals."""

    def can(self, source: str, target: str) -> bool:
        return target == "fr"

    async def translate(self, words: str, source: str, target: str) -> Translation:
        return Translation(f"FR {words.upper()}")


@pytest.fixture
def french(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeTranslator()
    monkeypatch.setattr(services.translator, "can", fake.can)
    monkeypatch.setattr(services.translator, "translate", fake.translate)


def offered(page: str) -> dict[str, list[str]]:
    """What the groups page offers: values of `who` by entry."""
    found = {}
    for form in re.findall(r'<form method="post" action="/console/together/preview".*?</form>', page, re.S):
        (entry,) = re.findall(r'name="group" value="([^"]+)"', form)
        found[entry] = re.findall(r'name="who" value="([^"]+)"', form)
    return found


def fields(page: str) -> list[tuple[str, str]]:
    """Of the form to send, as a browser without JavaScript would send it."""
    (form,) = re.findall(r'<form method="post" action="/console/together/send".*?</form>', page, re.S)
    sent = [
        (name, html.unescape(value))
        for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form)
    ]
    for name, value in re.findall(r'<textarea[^>]* name="([^"]+)"[^>]*>\n?(.*?)</textarea>', form, re.S):
        sent.append((name, html.unescape(value)))
    for name, options in re.findall(r'<select[^>]* name="([^"]+)">(.*?)</select>', form, re.S):
        sent.append((name, re.findall(r'value="([^"]+)"', options)[0]))
    return [*sent, ("then", "close")]


async def post(browser: Browser, path: str, sent: list[tuple[str, str]]) -> httpx.Response:
    form: dict[str, list[str]] = {}
    for name, value in sent:
        form.setdefault(name, []).append(value)
    return await browser.post(path, **form)  # type: ignore[arg-type]  # httpx takes lists


async def prepare(browser: Browser, *, words: str = ANSWER, card: str = "", but: int = 0) -> list[tuple[str, str]]:
    """The filled form of the first group."""
    groups = offered((await browser.get("/console/together")).text)
    entry, who = next(iter(groups.items()))
    sent = [("group", entry), ("words", words), ("card", card), *(("who", one) for one in who[but:])]
    page = await post(browser, "/console/together/preview", sent)
    assert page.status_code == 200, page.text
    return fields(page.text)


def changed(sent: list[tuple[str, str]], **values: str) -> list[tuple[str, str]]:
    return [(name, values.get(name, value)) for name, value in sent]


async def test_people_with_the_same_question_are_one_group_whatever_they_speak(place: Place, operator: Browser) -> None:
    first, second = await place.wait(PERMIT), await place.wait(PERMIT_FR, language="fr")
    alone = await place.wait("isee")
    silent = await place.wait()
    groups = offered((await operator.get("/console/together")).text)
    (who,) = groups.values()
    assert {one.partition(".")[0] for one in who} == {first.id, second.id}
    assert not {alone.id, silent.id} & {one.partition(".")[0] for one in who}


async def test_the_wish_for_a_person_is_not_the_question(place: Place, operator: Browser, parser: Any) -> None:
    from bot.turn import Intent

    parser.learn("voglio parlare con una persona", Intent.HUMAN)
    await place.wait(PERMIT, "voglio parlare con una persona")
    await place.wait(PERMIT)
    page = (await operator.get("/console/together")).text
    (who,) = offered(page).values()
    assert len(who) == 2
    assert "voglio parlare" not in page


async def test_what_was_talked_about_last_counts_when_the_words_say_nothing(place: Place, operator: Browser) -> None:
    for _ in range(2):
        await place.wait("xyzzy qwerty", entry_id="sportello-elp")
    assert list(offered((await operator.get("/console/together")).text)) == ["sportello-elp"]


async def test_the_largest_group_comes_first_and_an_urgent_one_is_not_ticked(place: Place, operator: Browser) -> None:
    for _ in range(2):
        await place.wait(entry_id="sportello-elp")
    for urgent in (True, False, False):
        await place.wait(PERMIT, urgent=urgent)
    page = (await operator.get("/console/together")).text
    assert [len(who) for who in offered(page).values()] == [3, 2]
    assert page.count(" checked>") == 4


async def test_only_ones_own_desks_are_offered(place: Place, operator: Browser, services: Services) -> None:
    elsewhere = await make_desk(services, place.organisation)
    for _ in range(2):
        await place.wait(PERMIT, desk=elsewhere)
    assert offered((await operator.get("/console/together")).text) == {}


@pytest.mark.parametrize("role", ["editor", "administrator", "auditor"])
async def test_who_answers_nobody_answers_nobody_at_once(opened: Browsers, place: Place, role: str) -> None:
    somebody = await opened(role, organisation=place.organisation)
    assert (await somebody.get("/console/together")).status_code == 403
    for path in ("preview", "send"):
        assert (await somebody.post(f"/console/together/{path}", words="a", key="k")).status_code == 403


async def test_what_identifies_somebody_is_hidden(place: Place, operator: Browser) -> None:
    for _ in range(2):
        await place.wait("il mio codice è RSSMRA85T10A562S", entry_id="sportello-elp")
    page = await operator.get("/console/together")
    assert "RSSMRA85T10A562S" not in page.text
    assert "…2S]" in page.text


async def test_each_gets_the_reply_in_their_language_and_is_asked_whether_it_helped(
    french: None, services: Services, place: Place, operator: Browser
) -> None:
    talks = {
        "it": await place.wait(PERMIT),
        "fr": await place.wait(PERMIT_FR, language="fr"),
        "ar": await place.wait(language="ar", entry_id=None),
    }
    entry = next(iter(offered((await operator.get("/console/together")).text)))
    await put_at_desk(services, talks["ar"].id, place.desk, language="ar", entry_id=entry)
    sent = await prepare(operator)
    assert dict(sent)["text_fr"] == f"FR {ANSWER.upper()}"
    assert dict(sent)["text_ar"] == ANSWER
    page = await post(operator, "/console/together/send", changed(sent, text_fr="Lundi à 9 heures."))
    assert html.unescape(page.text).count(say("en", "console.together.sent", count=3)) == 1
    for language, words, written_in, original in (
        ("it", ANSWER, "it", None),
        ("fr", "Lundi à 9 heures.", "fr", ANSWER),
        ("ar", ANSWER, "it", None),
    ):
        (reply,) = await place.replies(talks[language])
        assert (reply.text, reply.language, reply.original) == (words, written_in, original)
        assert reply.payload.get("machine", False) == (language == "fr")
        assert reply.written_by == operator.login.account_id
        assert await place.state(talks[language]) == "CLOSED"
        last = (await talks[language].messages())[-1]
        assert [choice["id"] for choice in last["choices"]]


async def test_a_text_can_be_said_to_be_in_the_persons_own_language(place: Place, operator: Browser) -> None:
    talks = [await place.wait(PERMIT_FR, language="fr") for _ in range(2)]
    sent = await prepare(operator)
    await post(operator, "/console/together/send", changed(sent, text_fr="Lundi.", in_fr="fr"))
    (reply,) = await place.replies(talks[0])
    assert (reply.text, reply.language, reply.original) == ("Lundi.", "fr", ANSWER)
    assert "machine" not in reply.payload


async def test_left_open_they_stay_in_the_queue_and_nobody_holds_them(place: Place, operator: Browser) -> None:
    talks = [await place.wait(PERMIT) for _ in range(2)]
    await post(operator, "/console/together/send", changed(await prepare(operator), then="leave"))
    for talk in talks:
        assert await place.state(talk) == "WAITING"
        assert len(await place.replies(talk)) == 1
    async with place.services.sessions.begin() as session:
        query = select(Handover.wrote_at, Handover.first_reply_at).where(Handover.desk_id == place.desk)
        for wrote, replied in (await session.execute(query)).all():
            assert wrote is None
            assert replied is not None


async def test_the_same_form_twice_sends_nothing_twice(place: Place, operator: Browser) -> None:
    talks = [await place.wait(PERMIT) for _ in range(3)]
    sent = await prepare(operator)
    pages = await asyncio.gather(*(post(operator, "/console/together/send", sent) for _ in range(3)))
    assert {page.status_code for page in pages} == {200}
    again = await post(operator, "/console/together/send", sent)
    assert html.unescape(again.text).count(say("en", "console.together.result.again")) == 3
    for talk in talks:
        assert len(await place.replies(talk)) == 1


async def test_left_open_the_same_form_twice_sends_nothing_twice_either(place: Place, operator: Browser) -> None:
    talks = [await place.wait(PERMIT) for _ in range(2)]
    sent = changed(await prepare(operator), then="leave")
    await asyncio.gather(*(post(operator, "/console/together/send", sent) for _ in range(3)))
    for talk in talks:
        assert len(await place.replies(talk)) == 1


async def test_of_two_operators_who_answer_the_same_people_each_person_hears_one(
    place: Place, operator: Browser, opened: Browsers
) -> None:
    other = await opened("operator", organisation=place.organisation, desk=place.desk)
    talks = [await place.wait(PERMIT) for _ in range(6)]
    forms = await prepare(operator), await prepare(other, words="Altra risposta.")
    pages = await asyncio.gather(
        post(operator, "/console/together/send", forms[0]), post(other, "/console/together/send", forms[1])
    )
    went = 0
    for page in pages:
        (count,) = re.findall(r"Reply sent to: (\d+)", page.text)
        left = [int(one) for one in re.findall(r"Not sent to: (\d+)", page.text)]
        assert int(count) + sum(left) == 6
        went += int(count)
    assert went == 6
    for talk in talks:
        assert len(await place.replies(talk)) == 1
        assert await place.state(talk) == "CLOSED"


async def test_the_page_says_to_whom_it_did_not_go_and_why(
    place: Place, operator: Browser, opened: Browsers, services: Services
) -> None:
    colleague = await opened("operator", organisation=place.organisation, desk=place.desk, name="Carla")
    names = ("went", "taken", "mine", "wrote", "closed", "back", "erased")
    talks = {name: await place.wait(PERMIT) for name in names}
    sent = await prepare(operator)
    await colleague.post(f"/console/conversations/{talks['taken'].id}/claim")
    await operator.post(f"/console/conversations/{talks['mine'].id}/claim")
    await talks["wrote"].post(text="anzi, no: cerco un medico")
    await put_at_desk(services, talks["closed"].id, place.desk, "CLOSED", holder=colleague.login.account_id)
    await talks["back"].press("bot")
    await place.http.delete(talks["erased"].path, headers=talks["erased"].headers)
    page = html.unescape((await post(operator, "/console/together/send", sent)).text)
    assert say("en", "console.together.sent", count=1) in page
    assert say("en", "console.together.left", count=6) in page
    for reason in ("mine", "wrote", "changed", "gone"):
        assert say("en", f"console.together.result.{reason}") in page
    assert say("en", "console.together.result.taken", name="Carla") in page
    assert page.count(say("en", "console.together.result.gone")) == 2
    for name in names[1:6]:
        assert await place.replies(talks[name]) == []
    assert await place.state(talks["taken"]) == "ACTIVE"
    assert await place.state(talks["wrote"]) == "WAITING"


async def test_who_speaks_another_language_by_now_is_left_waiting(
    place: Place, operator: Browser, services: Services
) -> None:
    talks = [await place.wait(PERMIT) for _ in range(2)]
    sent = await prepare(operator)
    async with services.sessions.begin() as session:
        await session.execute(text("UPDATE conversations SET language = 'sq' WHERE id = :id"), {"id": talks[0].id})
    page = html.unescape((await post(operator, "/console/together/send", sent)).text)
    assert say("en", "console.together.result.language") in page
    assert await place.state(talks[0]) == "WAITING"
    assert await place.state(talks[1]) == "CLOSED"


async def test_a_role_that_is_gone_sends_nothing(place: Place, operator: Browser, services: Services) -> None:
    talks = [await place.wait(PERMIT) for _ in range(2)]
    sent = await prepare(operator)
    async with services.sessions.begin() as session:
        own = {"id": operator.login.account_id}
        await session.execute(text("DELETE FROM memberships WHERE account_id = :id"), own)
    assert (await post(operator, "/console/together/send", sent)).status_code == 403
    await give_role(
        services,
        operator.login.account_id,
        "operator",
        organisation=place.organisation,
        desk=await make_desk(services, place.organisation),
    )
    page = html.unescape((await post(operator, "/console/together/send", sent)).text)
    assert page.count(say("en", "console.together.result.gone")) == 2
    assert all([await place.replies(talk) == [] for talk in talks])


async def test_the_card_of_the_entry_goes_with_the_words_or_alone(place: Place, operator: Browser) -> None:
    for words in (ANSWER, ""):
        talks = [await place.wait(entry_id="sportello-elp") for _ in range(2)]
        page = await post(operator, "/console/together/send", await prepare(operator, words=words, card="yes"))
        assert say("en", "console.together.sent", count=2) in html.unescape(page.text)
        for talk in talks:
            (reply,) = await place.replies(talk)
            assert reply.payload["entry"] == "sportello-elp"
            assert reply.text == words
            last = next(message for message in await talk.messages() if message["author"] == "operator")
            assert last["entries"][0]["id"] == "sportello-elp"


@pytest.mark.parametrize(
    "wrong, code, values",
    [
        ({"words": "   "}, "empty_message", {}),
        ({"words": "a" * 4001}, "too_long", {"limit": 4000}),
        ({"words": "Ciao {nome}, apre alle {ora}"}, "fields_open", {"fields": "nome, ora"}),
    ],
)
async def test_a_reply_that_does_not_work_is_said_before_anybody_gets_it(
    place: Place, operator: Browser, wrong: dict[str, str], code: str, values: dict[str, Any]
) -> None:
    talks = [await place.wait(PERMIT) for _ in range(2)]
    ((entry, who),) = offered((await operator.get("/console/together")).text).items()
    sent = [("group", entry), ("words", ANSWER), *(("who", one) for one in who)]
    page = await post(operator, "/console/together/preview", changed(sent, **wrong))
    assert page.status_code == 422
    assert say("en", f"error.{code}", **values) in html.unescape(page.text)
    assert wrong["words"] in html.unescape(page.text)
    filled = await prepare(operator)
    page = await post(operator, "/console/together/send", changed(filled, text_it=wrong["words"], words=wrong["words"]))
    assert page.status_code == 422
    assert all([await place.replies(talk) == [] for talk in talks])
    assert all([await place.state(talk) == "WAITING" for talk in talks])


async def test_somebody_has_to_be_chosen(place: Place, operator: Browser) -> None:
    for _ in range(2):
        await place.wait(PERMIT)
    ((entry, _),) = offered((await operator.get("/console/together")).text).items()
    for path in ("preview", "send"):
        form = {"group": entry, "words": "Le mie parole", "key": "k"}
        page = await operator.post(f"/console/together/{path}", **form)
        assert page.status_code == 422
        assert say("en", "error.nobody_chosen") in html.unescape(page.text)
        assert "Le mie parole" in page.text


@pytest.mark.parametrize(
    "who", ["x", "x.1", SOMEBODY, f"{SOMEBODY}.", f"{SOMEBODY}.-1", f"{SOMEBODY}.²", f"{SOMEBODY}.{'9' * 30}"]
)
async def test_a_form_that_is_none_of_ours_is_refused(operator: Browser, who: str) -> None:
    for path in ("preview", "send"):
        form = {"group": "sportello-elp", "words": "a", "key": "k", "who": who}
        assert (await operator.post(f"/console/together/{path}", **form)).status_code == 422


@given(st.lists(st.text(max_size=60), max_size=60))
def test_whatever_a_form_names_is_read_or_refused(who: list[str]) -> None:
    with contextlib.suppress(InvalidRequest):
        assert len(_chosen(who)) <= 50


@given(st.dictionaries(st.uuids(), st.integers(min_value=0, max_value=2**59), max_size=50))
def test_whom_a_page_offers_is_whom_its_form_names(people: dict[UUID, int]) -> None:
    who = [f"{one}.{last}" for one, last in people.items()]
    assert {one.id: one.last_message for one in _chosen([*who, *who])} == people


async def test_each_step_is_recorded(place: Place, operator: Browser, services: Services) -> None:
    for _ in range(2):
        await place.wait(PERMIT)
    await post(operator, "/console/together/send", await prepare(operator))
    async with services.sessions.begin() as session:
        query = select(AuditEvent.action).where(AuditEvent.account_id == operator.login.account_id)
        actions = list((await session.execute(query)).scalars())
    assert sorted(actions) == ["conversation.claimed"] * 2 + ["conversation.resolved"] * 2


async def test_the_pages_speak_every_language(place: Place, operator: Browser) -> None:
    for _ in range(2):
        await place.wait(PERMIT)
    for language, one in SPOKEN.items():
        page = html.unescape((await operator.get("/console/together", language=language)).text)
        assert f'dir="{one.direction}"' in page
        assert say(language, "console.together.about") in page
        assert "console.together." not in page
