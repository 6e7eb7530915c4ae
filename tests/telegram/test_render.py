"""What a person sees in Telegram: every kind of message there is, in every language, as the stand-in reads it."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import handover_flow
from bot.buttons import answer_buttons
from bot.card import FACET_ROWS, Row, build_card
from bot.dialogue import emergency_lines, respond, respond_held
from bot.emergency import NUMBERS
from bot.phrases import SPOKEN, say
from bot.privacy import known_text, long_notice
from bot.telegram import Manner, greeting, render, render_group, typing
from bot.telegram_html import units
from bot.turn import (
    Choice,
    DialogueState,
    Emergency,
    EmergencyLine,
    Held,
    Incoming,
    Keeping,
    Known,
    Reply,
    Turn,
    Understanding,
)
from bot.visit_card import VisitCard, visit_card, way_card
from bot.visit_news import news
from knowledge_base.library import Library
from tests.bot.fake_visits import NOW, TUESDAY
from tests.bot.test_every_flow import Walk
from tests.telegram.showing import VISIT, Attached, Message, Screen, bare, confirmed, message_of, shown_of

FORMS = ("full", "simple", *(f"facet:{facet}" for facet in FACET_ROWS))


@pytest.fixture
def screen() -> Screen:
    return Screen()


# ---- every kind of message in every language ----


@pytest.mark.parametrize("language", SPOKEN)
def test_every_card_in_every_form_is_shown_in_one_message(library: Library, screen: Screen, language: str) -> None:
    for entry in shown_of(library):
        for variant in FORMS if language in ("it", "ar") else ("full",):
            card = build_card(entry, language, now=NOW, variant=variant)
            assert card is not None
            intent = variant if variant.startswith("facet") else "ask"
            choices = answer_buttons(language, entry)
            text = say(language, variant.replace(":", "."), title=card.title) if intent != "ask" else card.lead
            message = Message(language=language, text=text, intent=intent, entries=[card], choices=choices)
            (seen,) = screen.show(render(message))
            named = bare(seen.text).count(bare(card.title))
            assert named == 1 if variant.startswith("facet") else named >= 1
            assert all(phone.number in seen.text for phone in entry.facts.phones if card.row("phone"))
            assert [button.data for row in seen.buttons for button in row] == [choice.id for choice in choices]
            assert seen.preview is False


@pytest.mark.parametrize("language", SPOKEN)
async def test_every_reply_of_a_walk_through_the_bot(library: Library, screen: Screen, language: str) -> None:
    walk = _Walk(library, language)
    await walk.everything()
    assert len(walk.replies) > 150
    for reply in walk.replies:
        entry = library.find_entry(reply.entry) if reply.entry else None
        card = build_card(entry, reply.language, now=NOW, variant=reply.variant) if entry and entry.shown else None
        for discreet in (False, True):
            seen = screen.show(render(message_of(reply, card), asked=not discreet))
            pressed = [button.data for one in seen for row in one.buttons for button in row]
            here = ["export-file" if one.id == "export" else one.id for one in reply.choices]
            assert pressed == [one for one in here if one != "forget-on-close"]


class _Walk(Walk):
    """Keeps the replies."""

    def __init__(self, library: Library, language: str) -> None:
        super().__init__(library, language)
        self.replies: list[Reply] = []

    def _heard(self, reply: Reply) -> Reply:
        self.replies.append(reply)
        return super()._heard(reply)


@pytest.mark.parametrize("language", SPOKEN)
def test_everything_that_is_sent_and_is_no_word_is_answered(library: Library, screen: Screen, language: str) -> None:
    files = [f"file:{kind}" for kind in ("image", "pdf", "voice", "other", "of a kind nobody made")]
    links = ["link:entry-isee", "link:entry-gone", "link:desk-", "link:desk-x", "link:nonsense", "link:"]
    for choice in ("start", "location", "contact", "other", "export-file", *files, *links):
        turn = Turn(Incoming(language, choice=choice), Understanding(), DialogueState())
        reply = respond(turn, library)
        seen = screen.show(render(message_of(reply)))
        assert seen, choice
        assert reply.text.strip(), choice
        held = respond_held(turn, library)
        assert held is None or screen.show(render(message_of(replace(held, text=held.text or "…"))))


@pytest.mark.parametrize("language", SPOKEN)
def test_every_emergency_begins_with_its_numbers(library: Library, screen: Screen, language: str) -> None:
    for kind, ids in NUMBERS.items():
        lines = emergency_lines(Emergency(kind, ids), language, library)
        choices = (Choice("human", say(language, "choice.human")), Choice("safe", say(language, "choice.safe")))
        text = say(language, f"emergency.{kind}")
        message = Message(language=language, text=text, intent="emergency", emergency=lines, choices=choices)
        (seen,) = screen.show(render(message))
        first, rest = seen.text.split("\n\n", 1)
        assert [line.number in row for line, row in zip(lines, first.split("\n"), strict=True)] == [True] * len(lines)
        assert bare(text) in bare(rest)


@pytest.mark.parametrize("language", SPOKEN)
def test_every_word_about_an_appointment(library: Library, screen: Screen, language: str) -> None:
    visit = confirmed(library)
    for status in ("held", "pending", "confirmed", "cancelled"):
        card = visit_card(language, replace(visit, status=status), about="Permesso di soggiorno")
        message = Message(language=language, text=say(language, "visit.yours"), intent="book", appointment=card)
        seen = screen.show(render(message))
        assert [one.kind for one in seen] == ["text"] if status == "held" else ["text", "document"]
        if status == "confirmed":
            assert seen[0].entity_texts("code") == ["ABC23"]
            assert seen[1].file is not None
            assert seen[1].file.name == "elp.ics"
    way = Message(language=language, text="…", appointment=way_card(language, visit))
    assert len(screen.show(render(way))) == 1
    for what in ("moved", "cancelled_by_desk", "stranded", "reminder_day", "reminder_hours", "offer"):
        told = news(language, what, visit, place=VISIT, until=NOW, entry="isee")
        card = visit_card(language, visit)
        message = Message(
            language=language, author="system", text=told.text, choices=told.choices, intent="my_bookings"
        )
        seen = screen.show(render(replace(message, appointment=card), asked=False))
        reminds = what.startswith("reminder")
        assert [one.kind for one in seen] == (["text"] if reminds else ["text", "document"])
        assert "Sportello ELP" not in seen[0].notification


@pytest.mark.parametrize("language", SPOKEN)
def test_privacy_greeting_and_waiting(library: Library, screen: Screen, language: str) -> None:
    known = Known(3, TUESDAY, language, "Ivrea", 2, 1, TUESDAY, forgets=True, visits=2, waiting=1)
    for intent, text in (("privacy", long_notice(language, Keeping())), ("x", known_text(language, known))):
        (seen,) = screen.show(render(Message(language=language, text=text, intent=intent)))
        assert bare(text) in bare(seen.text)
        assert (bare(say(language, "telegram.notice")) in bare(seen.text)) == (intent == "privacy")
    erased = say(language, "forget.done", receipt="20261122-ABCD1234")
    (seen,) = screen.show(render(Message(language=language, text=erased, intent="forget")))
    assert bare(say(language, "telegram.forgotten")) in bare(seen.text)
    (reply,) = greeting(language, Keeping())
    (seen,) = screen.show(render(message_of(reply)))
    assert seen.buttons[0][0].data == "languages"
    assert "🌐" in seen.labels[0]
    waiting = Held("WAITING", "Sportello ELP", NOW, "Europe/Rome", promised_for=NOW)
    for told in (handover_flow.back_in_queue, handover_flow.moved, handover_flow.apology, handover_flow.dated):
        message = Message(author="system", language=language, text=told(language, waiting), intent="human")
        (seen,) = screen.show(render(message, asked=False))
        assert "ELP" not in seen.notification


@pytest.mark.parametrize("language", SPOKEN)
def test_the_desk_answers(screen: Screen, language: str) -> None:
    italian = "Ciao! Portami il permesso <vecchio> & il passaporto, alle 9:30."
    for machine, original in ((True, italian), (False, italian), (False, None)):
        message = Message(
            author="operator",
            language=language,
            text=say(language, "help"),
            original=original,
            machine=machine,
            desk="Sportello ELP",
            intent=None,
            attachments=[Attached("image", "image/jpeg"), Attached("pdf", "application/pdf")],
        )
        seen = screen.show(render(message, asked=False))
        assert [one.kind for one in seen] == ["text", "photo", "document"]
        assert original is None or original in seen[0].text
        assert bare(say(language, "help")) in bare(seen[0].text)
        shown_outside = bare(seen[0].notification.split("▒")[0]).strip()
        assert shown_outside == bare(say(language, "telegram.covered"))
        assert screen.show(render(message, manner=Manner(discreet=False), asked=False))[0].entity_texts("spoiler") == []


@pytest.mark.parametrize("language", SPOKEN)
def test_groups_and_the_profile(screen: Screen, language: str) -> None:
    group = screen.standin.group()
    group.adds_bot(screen.user)
    (seen,) = screen.show(render_group(language, "elp_prova_bot"), group)
    assert seen.buttons[0][0].url == "https://t.me/elp_prova_bot"
    screen.show([typing()])
    assert screen.user.actions == ["typing"]


# ---- letters that bring trouble ----

NASTY = (
    "a" * 4000,
    "<b>&amp;\"'</i> & < > " * 150,
    "👨‍👩‍👧‍👦" * 600,
    "🇮🇹" * 2000,
    "\ud800half\udfff" * 500,
    "e" + "\u0301" * 3000,
    "مرحبا Hello 0125 49515 (ZAC!) " * 130,
    "你好，世界。" * 650,
    "\u202e\u2066\u200f" * 1000,
    "\u200b" * 4000,
    " \n" * 2000,
    "\x00\x01\x7f",
    "",
)


@pytest.mark.parametrize("language", ["it", "ar", "zh"])
@pytest.mark.parametrize("number", range(len(NASTY)))
def test_whatever_the_desk_writes_arrives(screen: Screen, language: str, number: int) -> None:
    text = NASTY[number]
    message = Message(
        author="operator", language=language, text=text, original=text, desk=text[:80] or "x", intent=None
    )
    for asked in (True, False):
        seen = screen.show(render(message, asked=asked))
        assert all(units(one.text) <= 4096 for one in seen)
        written = bare("".join(one.text for one in seen))
        assert written.count("a") >= bare(text).count("a")
        assert written.count("👦") >= text.count("👦")
        assert written.count("你") >= text.count("你")


@settings(deadline=None)
@given(
    text=st.text(max_size=200), times=st.integers(1, 60), language=st.sampled_from(sorted(SPOKEN)), asked=st.booleans()
)
def test_anything_at_all_arrives(text: str, times: int, language: str, asked: bool) -> None:
    message = Message(author="operator", language=language, text=text * times, original=text, desk=text, intent=None)
    Screen().show(render(message, asked=asked))


@pytest.mark.parametrize("language", ["it", "ur"])
@pytest.mark.parametrize("nasty", ["<b>&\"'>", "</tg-spoiler>", "\ud83d", "&#0;", "x" * 300])
def test_whatever_stands_in_a_card_is_text(screen: Screen, language: str, nasty: str) -> None:
    rows = (
        Row("where", nasty, (nasty,), italian=True),
        Row("phone", nasty, (nasty, "112", "0125 49515", "+39 350 909 2008 (WhatsApp)"), ("tel:1",) * 4, italian=True),
        Row("web", nasty, (nasty,), (f"https://example.org/?q={nasty}",), italian=True),
        Row("steps", nasty, (nasty, nasty), numbered=True),
    )
    card = VisitCard(VISIT, nasty, rows, (nasty,), calendar=True)
    choices = (Choice("entry:" + nasty, nasty), Choice("no:" + "x" * 80, ""), Choice("human", "  "))
    message = Message(
        language=language, text=nasty, appointment=card, choices=choices, emergency=(EmergencyLine(nasty, nasty),)
    )
    seen = screen.show(render(message))[0]
    whole = nasty.replace("\ud83d", "\ufffd")
    assert bare(seen.text).count(whole) >= 8
    assert {"0125 49515" in one for one in seen.entity_texts("phone_number")} == {True, False}
