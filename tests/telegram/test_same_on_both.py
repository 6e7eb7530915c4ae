"""Whole conversations, the same on the web and on Telegram: what is stored reply by reply, and what is then read."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

import httpx
import pytest

from backend.conversations import StoredMessage
from backend.services import Services
from backend.telegram_stand_in import Button, StandIn, User
from backend.web.views import message_view
from bot.turn import Intent
from tests.appointments import NOW, Place, make_place
from tests.backend.test_api import Talk, open_talk
from tests.backend.test_handover_person import Operator
from tests.fakes import FakeParser
from tests.telegram.tools import id_of, met, rows_of, until

pytestmark = pytest.mark.usefixtures("telegram")
Reply = dict[str, Any]
LANGUAGES = ["it", "en", "fr", "ar", "zh", "ur"]
SHOWN = ("author", "language", "text", "intent", "choices", "variant", "emergency", "entries", "appointment", "desk")
_OWN = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")
_RECEIPT = re.compile(r"\d{8}-[0-9A-F]{8}")
_CLOCK = re.compile(r"\d{1,2}[:.]\d{2}")


class Channel(Protocol):
    async def say(self, words: str) -> Reply: ...

    async def press(self, choice: str) -> Reply: ...

    async def told(self) -> list[Reply]:
        """Everything that was said to the person."""
        ...

    @property
    def conversation(self) -> UUID: ...


@dataclass
class Web:
    talk: Talk

    async def say(self, words: str) -> Reply:
        return await self.talk.say(words)

    async def press(self, choice: str) -> Reply:
        return await self.talk.press(choice)

    async def told(self) -> list[Reply]:
        return [one for one in await self.talk.messages() if one["author"] != "person"]

    @property
    def conversation(self) -> UUID:
        return UUID(self.talk.id)


@dataclass
class OnTelegram:
    user: User
    services: Services
    conversation: UUID
    taken: int = 1

    async def say(self, words: str) -> Reply:
        self.user.sends(words)
        return await self._next()

    async def press(self, choice: str) -> Reply:
        """As the button of the newest message that has it: what does not fit into one is pointed at."""
        label = next(
            (one["label"] for reply in reversed(await self.told()) for one in reply["choices"] if one["id"] == choice),
            None,
        )

        async def shown() -> bool:
            return label is None or any(one.data == choice or one.text.endswith(label) for one in self._buttons())

        await until(shown)
        if label is not None and not any(button.data == choice for button in self._buttons()):
            self.user.presses(next(button.text for button in self._buttons() if button.text.endswith(label)))
        else:
            self.user.presses_data(choice)
        return await self._next()

    def _buttons(self) -> list[Button]:
        return [button for one in self.user.messages for row in one.buttons for button in row]

    async def _next(self) -> Reply:
        """The reply, when all of it has been sent."""

        async def there() -> bool:
            rows = [row for row in await rows_of(self.services, self.user) if row.author != "person"]
            return len(rows) > self.taken and all(row.delivered_at for row in rows)

        await until(there)
        replies = await self.told()
        self.taken = len(replies)
        return replies[-1]

    async def told(self) -> list[Reply]:
        rows = [row for row in await rows_of(self.services, self.user) if row.author != "person"]
        views = [
            message_view(
                StoredMessage(row.id, row.author, row.language, row.text, row.original, row.payload, row.created_at),
                self.services.shelf,
                now=datetime.now(UTC),
            )
            for row in rows
        ]
        return [view.model_dump(mode="json") for view in views]


def same(reply: Reply) -> Reply:
    """Without what is its conversation's own: ids, codes, numbers of receipts."""
    found = {name: reply.get(name) for name in SHOWN}
    codes = [row["values"] for row in (reply.get("appointment") or {}).get("rows", []) if row["key"] == "code"]
    plain = _RECEIPT.sub("RECEIPT", _OWN.sub("ID", repr(found)))
    for code in (one for values in codes for one in values):
        plain = plain.replace(code, "CODE")
    if reply["intent"] == "human":  # since when somebody waits: one of the two began to in the minute before
        plain = _CLOCK.sub("TIME", plain)
    return {"reply": plain}


def plain(text: str) -> str:
    """Without signs of direction, and with one space wherever there is any."""
    return " ".join(re.sub("[\u2066-\u2069\u200e\u200f]", "", text).split())


Script = Callable[[Channel, "Stage"], Awaitable[None]]


@dataclass
class Stage:
    operator: Operator
    place: Place


def first(reply: Reply, *names: str) -> str:
    found = [one["id"] for one in reply["choices"] if one["id"].partition(":")[0] in names]
    assert found, reply
    return str(found[0])


async def question_and_facet(on: Channel, _: Stage) -> None:
    await on.say("sportello elp")
    await on.say("dove?")
    await on.press("facet:when:sportello-elp")
    await on.press("simpler:sportello-elp")
    await on.press("show:sportello-elp")
    await on.press("useful:sportello-elp:yes")


async def choices(on: Channel, _: Stage) -> None:
    topic = await on.press("topic:salute")
    await on.press(first(topic, "entry"))
    await on.press("nothing:that:anybody:made")
    await on.say("qwertz uiop asdf")
    await on.say("qwertz uiop asdf ghjk")


async def change_of_language(on: Channel, _: Stage) -> None:
    await on.say("sportello elp")
    await on.press("languages")
    await on.press("language:fr")
    await on.press("language:ar")


async def emergency(on: Channel, _: Stage) -> None:
    await on.say("aiuto, mio marito mi picchia")
    await on.press("safe")


async def my_data(on: Channel, _: Stage) -> None:
    await on.press("what_do_you_know")
    await on.press("privacy")
    await on.press("forget")
    await on.press("no:forget-now")


async def appointment(on: Channel, stage: Stage) -> None:
    reply = await on.press(f"pick:{stage.place.kind}")
    reply = await on.press([one["id"] for one in reply["choices"] if one["id"].startswith("day:")][1])
    await on.press(first(reply, "time"))
    reply = await on.say("Amina")
    reply = await on.press(first(reply, "confirm"))
    assert reply["appointment"]["calendar"]
    await on.press("visits")
    await on.press(f"visit:drop:{reply['appointment']['id']}")


async def a_person(on: Channel, stage: Stage) -> None:
    await on.press("human")
    await on.press("waiting")
    await stage.operator.claim(on.conversation)
    await stage.operator.reply(on.conversation, "buongiorno, sono qui", entry="sportello-elp")
    await stage.operator.close(on.conversation)
    await on.press("helped:yes")


SCRIPTS: list[Script] = [question_and_facet, choices, change_of_language, emergency, my_data, appointment, a_person]


@pytest.fixture
async def stage(services: Services, operator: Operator, parser: FakeParser, monkeypatch: pytest.MonkeyPatch) -> Stage:
    parser.learn("dove?", Intent.FACET_WHERE)
    monkeypatch.setattr(services.chat, "now", lambda: NOW)
    return Stage(operator, await make_place(services.sessions, staff=2))


async def on_telegram(standin: StandIn, services: Services, language: str) -> OnTelegram:
    somebody = standin.user(language_code=language)
    await met(somebody)
    return OnTelegram(somebody, services, await id_of(services, somebody))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
async def test_reply_by_reply(
    client: httpx.AsyncClient, standin: StandIn, nobody: Services, stage: Stage, script: Script, language: str
) -> None:
    web, chat = Web(await open_talk(client, language)), await on_telegram(standin, nobody, language)
    await script(web, stage)
    await script(chat, stage)
    on_web, here = await web.told(), await chat.told()
    assert [same(reply) for reply in here[1:]] == [same(reply) for reply in on_web[1:]]
    read = plain("\n".join(chat.user.texts))
    for reply in here:
        for line in reply["emergency"]:
            assert line["number"] in read
        for card in reply["entries"]:
            assert plain(card["title"]) in read
        if not reply["entries"] and not reply["appointment"]:
            for part in filter(None, reply["text"].split("\n")):
                assert plain(part) in read
    assert standin.violations == []


@pytest.mark.parametrize("language", LANGUAGES)
async def test_everything_is_erased_on_both(
    client: httpx.AsyncClient, standin: StandIn, nobody: Services, stage: Stage, language: str
) -> None:
    web, somebody = Web(await open_talk(client, language)), standin.user(language_code=language)
    await met(somebody)
    await web.press("forget-now")
    (receipt,) = await web.told()
    somebody.presses_data("forget-now")
    shown = await somebody.next_message(15)
    read, expected = (_RECEIPT.sub("RECEIPT", plain(text)) for text in (shown.text, receipt["text"]))
    assert read.startswith(expected)  # and says then what stays on the phone
