"""The console as another help-desk program uses it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import delete, func, select, text, update

from backend.console_feed import PAGE
from backend.models import Account, AuditEvent, ConsoleKey, Gap, Membership, Message, Presence
from backend.services import Services
from tests.backend.test_api import Talk, is_problem, open_talk
from tests.backend.test_attachments import PDF, send
from tests.backend.test_live import wire
from tests.handovers import put_at_desk
from tests.staff import add_key, give_role, make_account, make_desk, make_organisation, sign_in

pytestmark = pytest.mark.usefixtures("parser")
SECRET = "RSSMRA85T10A562S"
ROOT = "/api/v1/console"
__all__ = ["wire"]  # a fixture of the live tests


@dataclass
class Program:
    """A help-desk program that stands for one account."""

    http: httpx.AsyncClient
    account_id: UUID
    key: str
    name: str

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self.http.get(ROOT + path, params=query, headers=self.headers)

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self.http.post(ROOT + path, json=body or None, headers=self.headers)

    async def delete(self, path: str) -> httpx.Response:
        return await self.http.delete(ROOT + path, headers=self.headers)


@dataclass
class Place:
    services: Services
    http: httpx.AsyncClient
    organisation: int
    desk: int
    programs: list[Program] = field(default_factory=list)

    async def program(
        self, role: str = "operator", *, name: str = "Olga", desk: int | None = None, http: Any = None
    ) -> Program:
        account_id = await make_account(self.services, name)
        where = {"organisation": self.organisation}
        if role in ("operator", "desk_manager"):
            where["desk"] = desk or self.desk
        await give_role(self.services, account_id, role, **where)
        return Program(http or self.http, account_id, await add_key(self.services, account_id), name)

    async def wait(self, *words: str, language: str = "it", state: str = "WAITING", **values: Any) -> Talk:
        talk = await open_talk(self.http, language)
        for one in words:
            await talk.say(one)
        await put_at_desk(self.services, talk.id, self.desk, state, language=language, **values)
        return talk


@pytest.fixture
async def place(services: Services, client: httpx.AsyncClient) -> Place:
    organisation = await make_organisation(services)
    return Place(services, client, organisation, await make_desk(services, organisation, "Sportello"))


@pytest.fixture
async def program(place: Place) -> Program:
    return await place.program()


def path_of(talk: Talk) -> str:
    return f"/conversations/{talk.id}"


async def test_a_conversation_from_the_queue_to_its_end(place: Place, program: Program) -> None:
    talk = await place.wait("ho una domanda")
    (listed,) = (await program.get("/queue")).json()["conversations"]
    assert (listed["id"], listed["state"], listed["last_words"]) == (talk.id, "WAITING", "ho una domanda")
    here = path_of(talk)
    assert (await program.post(f"{here}/claim")).status_code == 204
    seen = (await program.post(f"{here}/preview", text="Venga lunedì.")).json()
    assert (seen["text"], seen["language"], seen["how"]) == ("Venga lunedì.", "it", "same")
    body = {"client_message_id": "1", "text": seen["text"], "language": seen["language"]}
    sent = await program.post(f"{here}/reply", **body)
    assert sent.status_code == 200
    got = [message for message in await talk.messages() if message["author"] == "operator"]
    assert [(message["id"], message["text"]) for message in got] == [(sent.json()["id"], "Venga lunedì.")]
    assert (await program.post(f"{here}/resolve")).status_code == 204
    assert (await program.get("/queue")).json() == {"conversations": [], "total": 0, "page": 1, "page_size": 50}
    assert (await program.get(here)).json()["state"] == "CLOSED"
    assert (await program.post(f"{here}/reopen")).status_code == 204
    assert (await program.get(here)).json()["holder"] == "Olga"


async def test_a_conversation_is_read_with_what_identifies_somebody_hidden(place: Place, program: Program) -> None:
    talk = await place.wait(f"cf {SECRET}")
    attachment = (await send(talk, PDF)).json()["attachments"][0]["id"]
    async with place.services.sessions.begin() as session:
        own = update(Message).where(Message.conversation_id == UUID(talk.id), Message.author == "person")
        await session.execute(own.values(italian=f"il mio cf è {SECRET}"))
        reply = {"author": "operator", "text": "Oui", "original": "Sì", "language": "fr", "payload": {}}
        session.add(
            Message(conversation_id=UUID(talk.id), delivered_at=func.now(), written_by=program.account_id, **reply)
        )
    response = await program.get(path_of(talk))
    assert SECRET not in response.text
    read = response.json()
    assert read["desk_id"] == place.desk
    assert [one["id"] for one in read["colleagues"]] == [str(program.account_id)]
    said = next(message for message in read["messages"] if message["author"] == "person")
    assert said["hidden"]
    assert "…2S]" in said["text"]
    assert "…2S]" in said["italian"]
    file = next(message for message in read["messages"] if message["attachments"])["attachments"][0]
    assert (await program.http.get(file["url"], headers=program.headers)).content == PDF
    assert file["id"] == attachment
    (ours,) = [message for message in read["messages"] if message["author"] == "operator"]
    assert (ours["text"], ours["original"], ours["written_by"], ours["delivery"]) == ("Oui", "Sì", "Olga", "delivered")
    assert "attachment.shown" in await actions(place.services, program)


async def actions(services: Services, program: Program) -> list[str]:
    async with services.sessions.begin() as session:
        query = select(AuditEvent.action).where(AuditEvent.account_id == program.account_id).order_by(AuditEvent.id)
        return list((await session.execute(query)).scalars())


async def test_the_queue_is_filtered_and_paged(place: Place, program: Program) -> None:
    french = await place.wait(language="fr")
    await place.wait()
    held = await place.wait(state="ACTIVE", holder=program.account_id)
    assert (await program.get("/queue")).json()["total"] == 3
    for query, found in (
        ({"language": "fr"}, french),
        ({"mine": "true"}, held),
        ({"mine": "true", "desk": place.desk}, held),
    ):
        assert [one["id"] for one in (await program.get("/queue", **query)).json()["conversations"]] == [found.id]
    assert (await program.get("/queue", desk=place.desk + 10_000)).json()["total"] == 0
    assert (await program.get("/queue", page=2)).json()["conversations"] == []
    assert is_problem(await program.get("/queue", language="xx"), 422, "unknown_language")


async def test_another_desks_conversations_are_not_there(place: Place) -> None:
    stranger = await place.program(desk=await make_desk(place.services, place.organisation, "Altro"))
    talk = await place.wait("ciao")
    assert (await stranger.get("/queue")).json()["total"] == 0
    desks = {desk["id"]: desk["mine"] for desk in (await stranger.get("/desks")).json()}
    assert desks[place.desk] is False
    assert sum(desks.values()) == 1
    here = path_of(talk)
    message = (await talk.messages())[1]["id"]
    for path in (here, f"{here}/messages", f"{here}/notes", f"{here}/attachments/{uuid4()}"):
        assert is_problem(await stranger.get(path), 404, "not_found")
    assert is_problem(await stranger.get("/events", conversation=talk.id), 404, "not_found")
    bodies: dict[str, dict[str, Any]] = {
        "claim": {},
        "release": {},
        "resolve": {},
        "reopen": {},
        "transfer": {"desk": place.desk},
        "promise": {"at": (datetime.now(UTC) + timedelta(days=1)).isoformat()},
        "reply": {"client_message_id": "1", "text": "a"},
        "preview": {"text": "a"},
        "notes": {"text": "a"},
        f"messages/{message}/mark": {},
    }
    for path, body in bodies.items():
        assert is_problem(await stranger.post(f"{here}/{path}", **body), 404, "not_found"), path
    assert is_problem(await stranger.delete(f"{here}/notes/1"), 404, "not_found")


@pytest.mark.parametrize("role", ["editor", "administrator", "auditor"])
async def test_a_key_of_somebody_who_answers_nobody_any_more_opens_nothing(place: Place, role: str) -> None:
    somebody = await place.program(role)
    talk = await place.wait("ciao")
    for path in ("/queue", "/desks", "/figures", "/presence", "/events", path_of(talk)):
        assert is_problem(await somebody.get(path), 403, "forbidden")
    assert is_problem(await somebody.post(f"{path_of(talk)}/claim"), 403, "forbidden")
    assert is_problem(await somebody.post("/presence", on_duty=True), 403, "forbidden")


async def test_only_a_key_opens_it(place: Place, program: Program) -> None:
    talk = await place.wait("ciao")
    cookies = await sign_in(place.services, program.account_id)
    headers = {"cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    for other in (headers, {}, talk.headers, {"authorization": "Bearer "}, {"authorization": f"Basic {program.key}"}):
        response = await place.http.get(f"{ROOT}/queue", headers=other)
        assert is_problem(response, 401, "key_refused")
    assert (await place.http.get(talk.path + "/messages", headers=program.headers)).status_code == 404


async def test_a_key_that_expired_or_was_deleted_or_whose_account_is_disabled_is_refused(
    place: Place, services: Services, program: Program
) -> None:
    expired = await add_key(services, program.account_id, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    response = await place.http.get(f"{ROOT}/queue", headers={"authorization": f"Bearer {expired}"})
    assert is_problem(response, 401, "key_refused")
    own = Account.id == program.account_id
    for disabled, status in ((func.now(), 401), (None, 200)):
        async with services.sessions.begin() as session:
            await session.execute(update(Account).where(own).values(disabled_at=disabled))
        assert (await program.get("/queue")).status_code == status
    async with services.sessions.begin() as session:
        await session.execute(delete(ConsoleKey).where(ConsoleKey.account_id == program.account_id))
    assert (await program.get("/queue")).status_code == 401


async def test_of_many_who_claim_at_once_one_gets_it_and_the_others_are_told_who(place: Place) -> None:
    programs = [await place.program(name=f"Persona {number}") for number in range(5)]
    talk = await place.wait("ciao")
    answers = await asyncio.gather(*(one.post(f"{path_of(talk)}/claim") for one in programs))
    (winner,) = [one for one, answer in zip(programs, answers, strict=True) if answer.status_code == 204]
    for answer in answers:
        if answer.status_code != 204:
            assert is_problem(answer, 409, "taken")
            assert winner.name in answer.json()["title"]
    loser = next(one for one in programs if one is not winner)
    for step in ("release", "resolve"):
        assert is_problem(await loser.post(f"{path_of(talk)}/{step}"), 409, "taken")
    reply = {"client_message_id": "1", "text": "a"}
    assert is_problem(await loser.post(f"{path_of(talk)}/reply", **reply), 409, "taken")


async def test_the_same_reply_many_times_at_once_goes_once(place: Place, program: Program) -> None:
    talk = await place.wait("ciao")
    await program.post(f"{path_of(talk)}/claim")
    body = {"client_message_id": "same", "text": "Buongiorno"}
    answers = await asyncio.gather(*(program.post(f"{path_of(talk)}/reply", **body) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert [message["author"] for message in await talk.messages()].count("operator") == 1


async def test_a_person_cannot_use_up_the_id_of_a_reply(place: Place, program: Program) -> None:
    talk = await open_talk(place.http)
    await talk.post(text="ciao", client_message_id="reply:1")
    await put_at_desk(place.services, talk.id, place.desk)
    await program.post(f"{path_of(talk)}/claim")
    await program.post(f"{path_of(talk)}/reply", client_message_id="1", text="Buongiorno")
    assert [message["text"] for message in await talk.messages() if message["author"] == "operator"] == ["Buongiorno"]


@pytest.mark.parametrize(
    "body, code",
    [
        ({"text": "a", "language": "xx"}, "unknown_language"),
        ({"text": "a", "entry": "nothing"}, "unknown_entry"),
        ({"text": "Ciao {nome}"}, "fields_open"),
        ({"text": "a", "original": "Ciao {nome}"}, "fields_open"),
        ({"text": "a" * 4001}, "too_long"),
        ({"text": "  "}, "invalid_request"),
        ({"text": "\u0001"}, "empty_message"),
        ({"text": "a", "more": 1}, "invalid_request"),
        ({"text": "a", "client_message_id": "é"}, "invalid_request"),
    ],
)
async def test_a_reply_that_cannot_go_says_why(place: Place, program: Program, body: dict[str, Any], code: str) -> None:
    talk = await place.wait("ciao")
    await program.post(f"{path_of(talk)}/claim")
    answer = await program.post(f"{path_of(talk)}/reply", **({"client_message_id": "1"} | body))
    assert is_problem(answer, 422, code)
    assert "operator" not in [message["author"] for message in await talk.messages()]


async def test_a_card_goes_alone_or_with_a_translation(place: Place, program: Program) -> None:
    talk = await place.wait("ciao", language="fr")
    await program.post(f"{path_of(talk)}/claim")
    await program.post(f"{path_of(talk)}/reply", client_message_id="1", entry="sportello-elp", language="fr")
    words = {"text": "Bonjour", "language": "fr", "original": "Buongiorno", "machine": True}
    await program.post(f"{path_of(talk)}/reply", client_message_id="2", **words)
    card, translated = [message for message in await talk.messages() if message["author"] == "operator"]
    assert card["entries"][0]["id"] == "sportello-elp"
    assert (translated["text"], translated["original"]) == ("Bonjour", "Buongiorno")


async def test_a_conversation_goes_to_another_desk_or_to_a_colleague(place: Place, program: Program) -> None:
    elsewhere = await make_desk(place.services, place.organisation, "Altro")
    there, colleague = await place.program(desk=elsewhere), await place.program(name="Carla")
    talk = await place.wait("ciao")
    here = path_of(talk)
    await program.post(f"{here}/claim")
    assert (await program.post(f"{here}/transfer", account=str(colleague.account_id))).status_code == 204
    (offered,) = (await colleague.get("/queue", mine="true")).json()["conversations"]
    assert offered["for_me"]
    assert (await colleague.post(f"{here}/transfer", desk=elsewhere)).status_code == 204
    assert (await there.get("/queue")).json()["total"] == 1
    assert (await program.get(here)).status_code == 404
    await there.post(f"{here}/claim")
    assert is_problem(await there.post(f"{here}/transfer", account=str(uuid4())), 409, "no_operators")
    for body in ({}, {"desk": elsewhere, "account": str(uuid4())}, {"desk": 0}):
        assert is_problem(
            await there.http.post(f"{ROOT}{here}/transfer", json=body, headers=there.headers), 422, "invalid_request"
        )


async def test_a_moment_is_promised_with_its_offset(place: Place, program: Program) -> None:
    talk = await place.wait("ciao")
    here = path_of(talk)
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2)
    assert (await program.post(f"{here}/promise", at=at.isoformat())).status_code == 204
    assert datetime.fromisoformat((await program.get(here)).json()["promised_for"]) == at
    for wrong in (at.replace(tzinfo=None).isoformat(), "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "x"):
        assert is_problem(await program.post(f"{here}/promise", at=wrong), 422, "invalid_request")


async def test_notes_are_for_colleagues_and_deleted_by_who_wrote_them(place: Place, program: Program) -> None:
    colleague, talk = await place.program(name="Carla"), await place.wait("ciao")
    here = path_of(talk)
    added = await program.post(f"{here}/notes", text="È già stata qui.")
    assert added.status_code == 201
    (note,) = (await colleague.get(f"{here}/notes")).json()["notes"]
    assert (note["name"], note["text"]) == ("Olga", "È già stata qui.")
    assert is_problem(await colleague.delete(f"{here}/notes/{note['id']}"), 404, "not_found")
    assert (await program.delete(f"{here}/notes/{note['id']}")).status_code == 204
    assert (await program.get(f"{here}/notes")).json() == {"notes": []}
    assert is_problem(await program.post(f"{here}/notes", text=" "), 422, "empty_message")
    assert "già stata" not in str(await talk.messages())


async def test_a_question_is_marked_for_the_editors(place: Place, program: Program) -> None:
    talk = await place.wait("ciao")
    welcome, said = (await talk.messages())[:2]
    here = path_of(talk)
    assert (await program.post(f"{here}/messages/{said['id']}/mark")).status_code == 204
    async with place.services.sessions.begin() as session:
        assert await session.scalar(select(Gap.message_id).where(Gap.message_id == said["id"])) is not None
    assert is_problem(await program.post(f"{here}/messages/{welcome['id']}/mark"), 404, "not_found")
    assert is_problem(await program.post(f"{here}/messages/{'9' * 30}/mark"), 422, "invalid_request")


async def test_a_shift_is_begun_kept_alive_and_ended(place: Place, services: Services, program: Program) -> None:
    assert (await program.get("/presence")).json() == {"on_duty": False, "speaks": [], "by_mail": False}
    begun = await program.post("/presence", on_duty=True, speaks=["fr", "it"])
    assert begun.json()["on_duty"]
    assert sorted(begun.json()["speaks"]) == ["fr", "it"]
    await program.post("/presence", on_duty=True)
    assert (await actions(services, program)).count("shift.begun") == 1
    own = Presence.account_id == program.account_id
    async with services.sessions.begin() as session:
        old = update(Presence).where(own).values(seen_at=func.now() - timedelta(minutes=9))
        await session.execute(old)
    await program.get("/queue")
    async with services.sessions.begin() as session:
        seen = await session.scalar(select(Presence.seen_at).where(own))
    assert seen is not None
    assert datetime.now(UTC) - seen < timedelta(minutes=1)
    talk = await place.wait("ciao", promised_for=None)
    assert is_problem(await program.post("/presence", on_duty=False), 409, "people_still_wait")
    await program.post(f"{path_of(talk)}/promise", at=(datetime.now(UTC) + timedelta(days=1)).isoformat())
    assert (await program.post("/presence", on_duty=False)).json()["on_duty"] is False
    assert is_problem(await program.post("/presence", speaks=["xx"]), 422, "unknown_language")


async def test_messages_are_read_in_order_and_none_is_lost(place: Place, services: Services, program: Program) -> None:
    talk = await place.wait("ciao")
    async with services.sessions.begin() as session:
        session.add_all(
            Message(conversation_id=UUID(talk.id), author="person", language="it", text=f"numero {number}", payload={})
            for number in range(2 * PAGE + 10)
        )
    read, after, pages = [], 0, 0
    while True:
        page = (await program.get(f"{path_of(talk)}/messages", after=after)).json()
        read += page["messages"]
        pages += 1
        if not page["more"]:
            break
        after = page["messages"][-1]["id"]
    ids = [message["id"] for message in read]
    assert ids == sorted(set(ids))
    assert pages == 3
    words = [message["text"] for message in read if message["text"].startswith("numero")]
    assert words == [f"numero {number}" for number in range(2 * PAGE + 10)]


async def test_figures_come_with_what_may_not_be_shown_left_out(place: Place, program: Program) -> None:
    for language in ("it", "it", "it", "fr"):
        await place.wait(language=language)
    found = (await program.get("/figures", days="7")).json()
    assert (found["days"], found["waiting"], found["all"]["numbers"]["asked"]) == (7, 4, 4)
    assert {group["key"]: group["hidden"] for group in found["languages"]} == {"it": "beside", "fr": "few"}
    assert is_problem(await program.get("/figures", days="8"), 422, "invalid_request")


async def test_the_description_names_the_key_and_every_problem(client: httpx.AsyncClient) -> None:
    described = (await client.get("/api/v1/openapi.json")).json()
    scheme = described["components"]["securitySchemes"]["ConsoleKey"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    paths = {path: ways for path, ways in described["paths"].items() if path.startswith(f"{ROOT}/")}
    assert len(paths) == 19
    for path, ways in paths.items():
        for way in ways.values():
            assert way["tags"] == ["console"], path
            assert {"ConsoleKey": []} in way["security"], path
            assert {"401", "403", "422", "503"} <= set(way["responses"]), path
            if "{conversation_id}" in path:
                assert "404" in way["responses"], path


# ---- live ----


class Listener:
    """Reads a stream as a browser does: name, id and data of each event."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self.lines = lines

    async def next(self, name: str = "") -> tuple[str, int | None, Any]:
        """The next event, or the next of this name."""
        return await asyncio.wait_for(self._next(name), 20)

    async def _next(self, wanted: str) -> tuple[str, int | None, Any]:
        name, event_id, data = "", None, ""
        async for line in self.lines:
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("id: "):
                event_id = int(line[4:])
            elif line.startswith("data: "):
                data = line[6:]
            elif not line and name:
                if wanted in ("", name):
                    return name, event_id, json.loads(data) if data.startswith("{") else data
                name, event_id, data = "", None, ""
        raise AssertionError("the stream ended")


@contextlib.asynccontextmanager
async def listening(program: Program, *, last: int | None = None, **query: Any) -> AsyncIterator[Listener]:
    headers = program.headers | ({"last-event-id": str(last)} if last is not None else {})
    async with program.http.stream("GET", f"{ROOT}/events", params=query, headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Listener(response.aiter_lines())


@pytest.fixture
async def live(place: Place, wire: httpx.AsyncClient) -> Program:
    return await place.program(http=wire)


async def test_the_stream_tells_of_the_queue(place: Place, live: Program) -> None:
    async with listening(live) as stream:
        assert await stream.next() == ("queue", None, {"waiting": 0, "newest": None})
        talk = await place.wait("ciao")
        assert (await stream.next("queue"))[2]["waiting"] == 1
        await live.post(f"{path_of(talk)}/claim")
        assert (await stream.next("queue"))[2]["waiting"] == 0


async def test_the_stream_tells_of_a_conversation_and_of_what_changes_in_it(place: Place, live: Program) -> None:
    talk = await place.wait(f"cf {SECRET}")
    async with listening(live, conversation=talk.id) as stream:
        assert (await stream.next("state"))[2]["state"] == "WAITING"
        heard = [await stream.next("message") for _ in range(len(await talk.messages()))]
        assert [event_id for _, event_id, _ in heard] == [message["id"] for message in await talk.messages()]
        assert SECRET not in json.dumps([data for _, _, data in heard])
        await live.post(f"{path_of(talk)}/claim")
        _, _, state = await stream.next("state")
        assert (state["state"], state["mine"], state["holder"]) == ("ACTIVE", True, "Olga")
        sent = (await live.post(f"{path_of(talk)}/reply", client_message_id="1", text="Eccomi")).json()["id"]
        while (heard_now := await stream.next("message"))[2]["id"] != sent:
            pass
        assert heard_now[1] == sent
        assert heard_now[2]["delivery"] == "sent"
        async with place.services.sessions.begin() as session:
            await session.execute(update(Message).where(Message.id == sent).values(delivered_at=func.now()))
            await session.execute(text("SELECT pg_notify('elp_messages', :id)"), {"id": talk.id})
        _, event_id, data = await stream.next("message")
        assert (data["id"], data["delivery"]) == (sent, "delivered")
        assert event_id is None  # known already: it must not move where a listener resumes


async def test_whoever_comes_back_to_the_stream_has_missed_nothing(
    place: Place, services: Services, live: Program
) -> None:
    talk = await place.wait("ciao")
    last = (await talk.messages())[-1]["id"]
    async with services.sessions.begin() as session:
        session.add_all(
            Message(conversation_id=UUID(talk.id), author="person", language="it", text=f"numero {number}", payload={})
            for number in range(PAGE + 20)
        )
        await session.execute(update(Message).where(Message.id == last).values(italian="nel frattempo"))
    async with listening(live, last=last, conversation=talk.id) as stream:
        fresh, known = [], {}
        while len(fresh) < PAGE + 20:
            _, event_id, data = await stream.next("message")
            if event_id is None:
                known[data["id"]] = data
            else:
                fresh.append(data["text"])
        assert fresh == [f"numero {number}" for number in range(PAGE + 20)]
        assert known[last]["italian"] == "nel frattempo"


async def test_nothing_is_lost_while_many_write_at_once(place: Place, live: Program) -> None:
    talk = await place.wait("ciao")
    async with listening(live, conversation=talk.id) as stream:
        await asyncio.gather(*(talk.post(text=f"messaggio {number}") for number in range(12)))
        wanted = {message["id"] for message in await talk.messages()}
        heard: list[int] = []
        while set(heard) != wanted:
            _, event_id, data = await stream.next("message")
            if event_id is not None:
                heard.append(data["id"])
        assert heard == sorted(wanted)


@pytest.mark.parametrize("how", ["key", "role", "back", "erased"])
async def test_the_stream_ends_when_there_is_nothing_more_to_see(
    place: Place, services: Services, live: Program, how: str
) -> None:
    talk = await place.wait("ciao")
    async with listening(live, conversation=talk.id) as stream:
        await stream.next("message")
        async with services.sessions.begin() as session:
            if how == "key":
                await session.execute(delete(ConsoleKey).where(ConsoleKey.account_id == live.account_id))
            elif how == "role":
                await session.execute(delete(Membership).where(Membership.account_id == live.account_id))
            await session.execute(text("SELECT pg_notify('elp_messages', :id)"), {"id": talk.id})
        if how == "back":
            await talk.press("bot")
        elif how == "erased":
            await place.http.delete(talk.path, headers=talk.headers)
        assert await stream.next("gone") == ("gone", None, "gone")
        assert [line async for line in stream.lines] == []


async def test_a_claim_by_a_program_is_not_taken_away_at_once(
    app: FastAPI, services: Services, place: Place, program: Program
) -> None:
    from backend.queue_watch import Patience, release_abandoned

    async with services.sessions.begin() as session:
        session.add(Presence(account_id=program.account_id, seen_at=datetime.now(UTC) - timedelta(days=1)))
    talk = await place.wait("ciao")
    await program.post(f"{path_of(talk)}/claim")
    await release_abandoned(services.sessions, Patience(), datetime.now(UTC))
    assert (await program.get(path_of(talk))).json()["mine"]
