"""What of an update is read, and that nothing Telegram or anybody else sends can break it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from telegram.constants import MessageType

from backend.telegram_stand_in import StandIn
from bot.phrases import FALLBACK, SOURCE, SPOKEN
from bot.telegram import COMMANDS, Arrived, FileSent, Said, album, guess_language, parse, said

PERSON = {"id": 42, "is_bot": False, "first_name": "Amina", "language_code": "ar"}
PRIVATE = {"id": 42, "type": "private", "first_name": "Amina"}
GROUP = {"id": -100, "type": "supergroup", "title": "Famiglie"}
PHOTO = [
    {"file_id": "small", "file_unique_id": "a", "width": 90, "height": 90, "file_size": 1000},
    {"file_id": "large", "file_unique_id": "b", "width": 900, "height": 900, "file_size": 90000},
    {"file_id": "middle", "file_unique_id": "c", "width": 300, "height": 300},
]
VOICE = {"file_id": "voice", "file_unique_id": "v", "duration": 3600, "mime_type": "audio/ogg", "file_size": 9_000_000}


def update(kind: str = "message", **values: Any) -> dict[str, Any]:
    return {"update_id": 7, kind: values}


def message(**content: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {"message_id": 5, "date": 1795348800, "chat": PRIVATE, "from": PERSON}
    return update(**usual | content)


def document(**values: Any) -> dict[str, Any]:
    return {"file_id": "d", "file_unique_id": "d", **values}


# ---- words, buttons, commands, links ----


def test_words() -> None:
    assert parse(message(text="Ciao\nho bisogno")) == Arrived(
        7,
        "message",
        chat_id=42,
        message_id=5,
        text="Ciao\nho bisogno",
        language_code="ar",
        date=datetime(2026, 11, 22, 12, tzinfo=UTC),
    )


def test_a_pressed_button_also_of_a_message_that_is_too_old_to_be_shown() -> None:
    for date in (1795348800, 0):
        pressed = {"id": "99", "from": PERSON, "chat_instance": "1", "data": "topic:salute"}
        found = parse(update("callback_query", **pressed, message={"message_id": 3, "date": date, "chat": PRIVATE}))
        assert (found.kind, found.choice, found.callback_id, found.message_id) == ("choice", "topic:salute", "99", 3)
        assert said(found) == Said(choice="topic:salute")


def test_a_button_without_a_message_or_data_is_only_answered() -> None:
    for more in ({"inline_message_id": "x", "data": "y"}, {"message": {"message_id": 3, "date": 0, "chat": PRIVATE}}):
        found = parse(update("callback_query", id="99", **{"from": PERSON}, chat_instance="1", **more))
        assert (found.kind, found.callback_id) == ("nothing", "99")
        assert said(found) is None


@pytest.mark.parametrize(
    "payload, choice",
    [
        ("", "start"),
        ("entry-isee", "link:entry-isee"),
        ("desk-3", "link:desk-3"),
        ("something", "start"),
    ],
)
def test_the_beginning_and_deep_links(payload: str, choice: str) -> None:
    found = parse(message(text=f"/start {payload}".strip()))
    assert (found.kind, found.payload) == ("start", payload or None)
    assert said(found) == Said(choice=choice)


def test_commands() -> None:
    choices = ["book", "human", "languages", "what_do_you_know", "forget", "help"]
    for command, choice in zip(COMMANDS, choices, strict=True):
        for text in (f"/{command}", f"/{command.upper()}", f"/{command}@elp_bot", f"/{command} domani"):
            found = parse(message(text=text))
            assert (found.kind, found.command) == ("command", command)
            assert said(found) == Said(choice=choice)


def test_a_cry_for_help_behind_a_command_is_heard() -> None:
    assert said(parse(message(text="/person mio marito mi picchia"))) == Said("mio marito mi picchia")


@pytest.mark.parametrize("text", ["/aiuto", "/", "//book", "/book-now", " /book", "/suicidio", "/book\u200f"])
def test_what_is_no_command_of_ours_is_words(text: str) -> None:
    found = parse(message(text=text))
    assert (found.kind, found.text) == ("message", text)


def test_an_edited_message_is_read_again() -> None:
    found = parse(
        update("edited_message", message_id=5, date=1, edit_date=2, chat=PRIVATE, **{"from": PERSON}, text="due")
    )
    assert (found.kind, found.text, found.message_id) == ("edited", "due", 5)
    assert said(found) == Said("due")
    moving = {"latitude": 45.4, "longitude": 7.8, "live_period": 600}
    found = parse(update("edited_message", message_id=5, date=1, chat=PRIVATE, **{"from": PERSON}, location=moving))
    assert found.kind == "nothing"


# ---- everything that is not words ----


def test_the_largest_picture_is_taken() -> None:
    found = parse(message(photo=PHOTO, caption="è questo?", media_group_id="77"))
    assert found.files == (FileSent("large", "image", 90000, mime="image/jpeg"),)
    assert (found.kind, found.text, found.media_group_id) == ("files", "è questo?", "77")
    assert said(found) == Said("è questo?", unread="image")
    assert said(found, held=True) is None


def test_an_hour_of_voice() -> None:
    found = parse(message(voice=VOICE))
    assert found.files == (FileSent("voice", "voice", 9_000_000, mime="audio/ogg", seconds=3600),)
    assert said(found) == Said(choice="file:voice")


@pytest.mark.parametrize(
    "content, kind",
    [
        ({"document": document(mime_type="application/pdf")}, "pdf"),
        ({"document": document(file_name="Lettera.PDF")}, "pdf"),
        ({"document": document(mime_type="image/png")}, "image"),
        ({"document": document(mime_type="audio/mpeg")}, "voice"),
        ({"document": document(mime_type="application/zip", file_name="x.zip")}, "other"),
        ({"document": document()}, "other"),
        ({"audio": {**VOICE, "mime_type": "audio/mpeg"}}, "voice"),
        ({"video": {**VOICE, "width": 10, "height": 10}}, "other"),
        ({"video_note": {**VOICE, "length": 10}}, "other"),
        ({"animation": {**VOICE, "width": 1, "height": 1}, "document": document(mime_type="video/mp4")}, "other"),
    ],
)
def test_what_kind_of_file_it_is(content: dict[str, Any], kind: str) -> None:
    found = parse(message(**content))
    assert [file.kind for file in found.files] == [kind]


def test_an_album_becomes_one_with_all_its_files_in_their_order() -> None:
    one, two = (
        parse(message(message_id=n, photo=PHOTO[n : n + 1], media_group_id="7", caption=f"{n}")) for n in (0, 1)
    )
    together = album([two, one])
    assert [file.file_id for file in together.files] == ["small", "large"]
    assert (together.text, together.message_id) == ("0\n1", 0)
    assert said(together) == Said("0\n1", unread="image")


def test_where_somebody_is_and_whom_they_know() -> None:
    place = {"latitude": 45.46, "longitude": 7}
    found = parse(message(location=place, venue={"location": place, "title": "Bar", "address": "via"}))
    assert said(found) == Said(choice="location", location=(45.46, 7.0))
    found = parse(message(contact={"phone_number": "+39333", "first_name": "X", "user_id": 3}))
    assert (found.kind, found.phone) == ("contact", "+39333")
    assert said(found) == Said(choice="contact")


@pytest.mark.parametrize("name", ["sticker", "dice", "poll", "game", "story"])
def test_stickers_and_such(name: str) -> None:
    assert said(parse(message(**{name: {"x": 1}}))) == Said(choice="other")


def test_news_about_the_chat_get_no_answer() -> None:
    wanted = {"sticker", "dice", "poll", "game", "story", "live_photo", "paid_media", "checklist"}
    files = {"photo", "voice", "audio", "document", "video", "video_note", "animation", "text", "location", "contact"}
    for name in {one.value for one in MessageType} - wanted - files - {"migrate_to_chat_id"}:
        assert parse(message(**{name: {"x": 1}})).kind == "nothing", name


def test_other_bots_and_channels_are_not_talked_to() -> None:
    assert parse(message(text="ciao", **{"from": PERSON | {"is_bot": True}})).kind == "nothing"
    assert (
        parse(update("channel_post", message_id=1, date=1, chat={"id": -1, "type": "channel"}, text="x")).kind
        == "nothing"
    )


# ---- groups, blocks, moves ----


def in_group(**content: Any) -> Arrived:
    return parse(message(chat=GROUP, **content), username="elp_bot")


def test_in_a_group_only_whoever_speaks_to_the_bot_is_answered_and_nothing_is_taken_along() -> None:
    own = {"id": 1, "is_bot": True, "username": "ELP_bot", "first_name": "ELP"}
    to_the_bot = (
        in_group(text="@elp_bot dov'è lo sportello?"),
        in_group(text="/start"),
        in_group(text="/help@elp_bot"),
        in_group(text="sì", reply_to_message={"message_id": 1, "date": 1, "chat": GROUP, "from": own}),
        in_group(photo=PHOTO, caption="@ELP_BOT"),
    )
    to_others = (
        in_group(text="mio marito mi picchia"),
        in_group(text="@elp_bottega"),
        in_group(text="/help@other_bot"),
        in_group(text="/roll"),
        in_group(text="sì", reply_to_message={"message_id": 1, "date": 1, "chat": GROUP, "from": PERSON}),
        in_group(new_chat_title="Noi"),
        in_group(location={"latitude": 1, "longitude": 1}),
    )
    assert [found.addressed for found in to_the_bot] == [True] * 5
    assert [found.addressed for found in to_others] == [False] * 7
    for found in (*to_the_bot, *to_others):
        assert (found.kind, found.chat_id, found.text, found.files, found.location) == ("group", -100, "", (), None)
        assert said(found) is None


def member(chat: dict[str, Any], old: str, new: str) -> Arrived:
    states = {"old_chat_member": {"status": old, "user": PERSON}, "new_chat_member": {"status": new, "user": PERSON}}
    return parse(update("my_chat_member", chat=chat, date=1, **{"from": PERSON}, **states))


def test_blocked_unblocked_added_and_removed() -> None:
    assert (member(PRIVATE, "member", "kicked").kind, member(PRIVATE, "kicked", "member").kind) == (
        "blocked",
        "unblocked",
    )
    assert member(PRIVATE, "member", "kicked").chat_id == 42
    assert (member(GROUP, "left", "member").kind, member(GROUP, "left", "member").addressed) == ("group", True)
    assert not member(GROUP, "member", "administrator").addressed
    assert not member(GROUP, "member", "left").addressed
    assert not member({"id": -5, "type": "channel", "title": "x"}, "left", "administrator").addressed


def test_a_chat_that_moves() -> None:
    found = parse(message(chat=GROUP, migrate_to_chat_id=-1009))
    assert (found.kind, found.chat_id, found.new_chat_id) == ("migrated", -100, -1009)


# ---- whatever else ----


@pytest.mark.parametrize("raw", [None, [], "x", 5, {}, {"update_id": "7"}, {"update_id": True}, {"update_id": 2**70}])
def test_what_is_no_update(raw: object) -> None:
    assert parse(raw) == Arrived(None)


@pytest.mark.parametrize(
    "broken",
    [
        {"text": 5},
        {"text": {"a": 1}},
        {"date": -1},
        {"date": 10**30},
        {"chat": None},
        {"chat": {"id": "42", "type": "private"}},
        {"chat": {"id": 2**80, "type": "private"}},
        {"from": None},
        {"from": "me"},
        {"message_id": 1.5},
        {"photo": []},
        {"photo": "x"},
        {"location": {"latitude": 1e9, "longitude": 0}},
        {"location": {"latitude": float("nan"), "longitude": 0}},
        {"voice": {"file_id": ""}},
    ],
)
def test_what_cannot_be_read_is_nothing_and_keeps_its_number(broken: dict[str, Any]) -> None:
    assert parse(message(**broken)) == Arrived(7)


def test_half_a_letter_does_not_hide_the_rest() -> None:
    assert parse(message(text="aiuto \ud83d")).text == "aiuto \ufffd"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
FIELDS = (
    "message_id",
    "date",
    "chat",
    "from",
    "text",
    "caption",
    "photo",
    "voice",
    "location",
    "contact",
    "data",
    "id",
)
UPDATES = ("message", "edited_message", "callback_query", "my_chat_member", "channel_post")


@settings(deadline=None)
@given(JSON)
def test_any_json(raw: Any) -> None:
    assert said(parse(raw)) is None or isinstance(raw, dict)


@settings(deadline=None)
@given(st.sampled_from(UPDATES), st.dictionaries(st.sampled_from(FIELDS), JSON), st.sampled_from(FIELDS), JSON)
def test_any_json_in_the_place_of_any_field(kind: str, wild: dict[str, Any], name: str, value: Any) -> None:
    usual = message(text="ciao")["message"]
    for changed in (wild, usual | {name: value}, {"id": "1", "from": PERSON, "message": usual, name: value}):
        found = parse({"update_id": 7, kind: changed}, username="elp_bot")
        assert found.update_id == 7
        text = found.text + (found.choice or "") + (found.payload or "")
        text.encode()  # whatever comes out can be stored
        said(found)


@settings(deadline=None)
@given(st.text(st.characters(), max_size=300))
def test_any_words(text: str) -> None:
    found = parse(json.loads(json.dumps(message(text=text))))
    assert found.kind in ("message", "command", "start")
    assert said(found) is None or text.strip()


def test_everything_the_stand_in_sends_is_read() -> None:
    standin = StandIn()
    amina = standin.user(language_code="ar")
    amina.starts("entry-isee")
    amina.sends("ciao")
    amina.sends_photo(caption="x")
    amina.sends_document()
    amina.sends_voice()
    amina.sends_sticker()
    amina.shares_location(45.4, 7.8)
    amina.shares_contact()
    amina.edits("due", message_id=1)
    amina.presses_data("topic:salute")
    amina.blocks_bot()
    kinds = [parse(one).kind for one in standin.world.updates.waiting.values()]
    assert kinds == [
        *("start", "message", "files", "files", "files", "other"),
        *("location", "contact", "edited", "choice", "blocked"),
    ]


# ---- the first guess of a language ----


def test_the_language_of_telegram_is_a_first_guess() -> None:
    for code in SPOKEN:
        assert guess_language(code) == code
        assert guess_language(f"{code.upper()}-XX") == code
    assert guess_language("pt-br") == "pt"
    assert guess_language("zh-hans") == "zh"
    assert guess_language("de") == FALLBACK
    assert guess_language("\ufffd") == FALLBACK
    assert guess_language(None) == guess_language("") == SOURCE
