"""What people say about appointments, in words, through the real Rasa and the real index, leads into the flow."""

from collections.abc import AsyncIterator, Iterator

import pytest

from backend.config import Settings
from backend.local_nlu import local_nlu
from bot import booking_flow
from bot.dialogue import respond
from bot.nlu import RasaClient
from bot.turn import DialogueState, Incoming, Reply, Turn
from bot.understand import Understander
from knowledge_base.library import Library
from tests.bot.fake_visits import FakeVisits, offer

SAID = {
    "book": {
        "it": ["vorrei un appuntamento", "posso prenotare un appuntamento?"],
        "en": ["I want an appointment", "can I book an appointment?"],
        "fr": ["je voudrais un rendez-vous", "je peux prendre rendez-vous ?"],
        "ar": ["أريد موعدا", "أريد أن أحجز موعدا"],
    },
    "my_bookings": {
        "it": ["quando è il mio appuntamento?"],
        "en": ["when is my appointment?"],
        "fr": ["quand est mon rendez-vous ?"],
        "ar": ["متى موعدي؟"],
    },
    "reschedule": {
        "it": ["voglio spostare il mio appuntamento"],
        "en": ["I want to move my appointment"],
        "fr": ["je veux déplacer mon rendez-vous"],
        "ar": ["أريد تغيير موعدي"],
    },
    "cancel_booking": {
        "it": ["voglio annullare il mio appuntamento"],
        "en": ["I want to cancel my appointment"],
        "fr": ["je veux annuler mon rendez-vous"],
        "ar": ["أريد إلغاء موعدي"],
    },
}


@pytest.fixture(scope="module")
def rasa() -> Iterator[str]:
    with local_nlu(Settings()) as url:
        yield url


@pytest.fixture
async def understander(rasa: str, library: Library) -> AsyncIterator[Understander]:
    parser = RasaClient(rasa, timeout_s=30)
    yield Understander(lambda: library, parser)
    await parser.close()


async def answer(understander: Understander, language: str, said: str, visits: FakeVisits, library: Library) -> Reply:
    """As the whole dialogue answers somebody's first words."""
    incoming = Incoming(language, said, message_id=1)
    turn = Turn(incoming, await understander.understand(incoming), DialogueState())
    reply = respond(turn, library)
    return await booking_flow.answer(reply, turn, visits, library) if reply.books else reply


CASES = [(intent, language, said) for intent, by in SAID.items() for language, all_ in by.items() for said in all_]


@pytest.mark.parametrize("intent, language, said", CASES)
async def test_words_about_appointments_reach_the_flow(
    understander: Understander, library: Library, intent: str, language: str, said: str
) -> None:
    visits = FakeVisits((offer(1), offer(2, name="Aiuto con i documenti")))
    mine = visits.visit(visits.free[0])
    reply = await answer(understander, language, said, visits, library)
    ids = [choice.id for choice in reply.choices]
    assert (reply.language, reply.intent) == (language, intent)
    if intent == "book":
        assert any(one.startswith("about:") for one in ids), ids
    else:
        assert reply.visit is not None
        assert {f"visit:move:{mine.facts.id}", f"visit:cancel:{mine.facts.id}"} <= set(ids)
