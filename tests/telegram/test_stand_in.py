"""The stand-in talks like Telegram: python-telegram-bot's own client is the one that asks."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ClientSession
from telegram import (
    Bot,
    BotCommand,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputFile,
    InputMediaDocument,
    InputMediaPhoto,
    KeyboardButton,
    LinkPreviewOptions,
    ReplyKeyboardMarkup,
    ReplyParameters,
)
from telegram.error import BadRequest, Forbidden

from backend.telegram_stand_in import StandIn, samples
from tests.telegram.bot_client import bot, known

__all__ = ["bot"]

# ---- what people do reaches the bot ----


async def test_the_bot_knows_its_name(bot: Bot) -> None:
    assert bot.username == "elp_prova_bot"


async def test_a_message_comes_once_and_stays_until_it_is_confirmed(standin: StandIn, bot: Bot) -> None:
    amina = standin.user(language_code="ar")
    amina.starts("desk-7")
    (update,) = await bot.get_updates()
    assert update.message
    assert update.message.text == "/start desk-7"
    assert update.message.entities[0].type == "bot_command"
    assert update.effective_user
    assert update.effective_user.language_code == "ar"
    assert (await bot.get_updates())[0].update_id == update.update_id
    assert await bot.get_updates(offset=update.update_id + 1) == ()
    assert standin.pending == 0


async def test_a_long_poll_ends_when_somebody_writes(standin: StandIn, bot: Bot) -> None:
    poll = asyncio.create_task(bot.get_updates(timeout=20))
    await standin.wait_for(lambda: bool(standin.calls_of("getUpdates")))
    standin.user().sends("buongiorno")
    assert [update.message.text for update in await poll if update.message] == ["buongiorno"]


async def test_everything_a_person_can_send_is_what_telegram_makes_of_it(standin: StandIn, bot: Bot) -> None:
    amina = standin.user(name="Amina")
    amina.sends_photo(caption="la lettera")
    amina.sends_document(name="lettera.pdf")
    amina.sends_voice(seconds=5)
    amina.sends_sticker()
    amina.shares_location(45.4667, 7.8833)
    amina.shares_contact("+393331234567")
    amina.sends_album(("photo", samples.photo()), ("photo", samples.photo()), caption="due")
    amina.sends_other("dice", {"emoji": "🎲", "value": 3})
    messages = [update.message for update in await bot.get_updates()]
    assert all(messages)
    photo, document, voice, sticker, place, contact, first, second, dice = messages
    assert photo
    assert photo.caption == "la lettera"
    assert photo.photo[0].width < photo.photo[-1].width
    assert document
    assert document.document
    assert document.document.file_name == "lettera.pdf"
    assert voice
    assert voice.voice
    assert voice.voice.duration == timedelta(seconds=5)
    assert sticker
    assert sticker.sticker
    assert place
    assert place.location
    assert place.location.latitude == pytest.approx(45.4667)
    assert contact
    assert contact.contact
    assert contact.contact.user_id == amina.id
    assert first
    assert second
    assert first.media_group_id == second.media_group_id
    assert (first.caption, second.caption) == ("due", None)
    assert dice
    assert dice.dice


async def test_an_edited_message_and_a_blocked_bot_are_updates_too(standin: StandIn, bot: Bot) -> None:
    amina = standin.user()
    amina.sends("prima")
    amina.edits("dopo")
    amina.blocks_bot()
    sent, edited, blocked = await bot.get_updates()
    assert sent.message
    assert sent.message.text == "prima"
    assert edited.edited_message
    assert edited.edited_message.text == "dopo"
    assert edited.edited_message.message_id == sent.message.message_id
    assert blocked.my_chat_member
    assert blocked.my_chat_member.new_chat_member.status == "kicked"
    with pytest.raises(Forbidden, match="bot was blocked by the user"):
        await bot.send_message(amina.id, "ci sei?")
    amina.unblocks_bot()
    await bot.send_message(amina.id, "ci sei?")
    assert amina.texts == ["ci sei?"]


async def test_groups_and_channels_are_not_private_chats(standin: StandIn, bot: Bot) -> None:
    amina = standin.user()
    standin.group(title="Corso di italiano").says(amina, "/help")
    standin.group(type="channel", title="Avvisi").says(amina, "orari")
    in_group, in_channel = await bot.get_updates()
    assert in_group.message
    assert in_group.message.chat.type == "group"
    assert in_channel.channel_post
    assert in_channel.channel_post.from_user is None


async def test_only_kinds_of_updates_that_were_asked_for_come(standin: StandIn, bot: Bot) -> None:
    await bot.get_updates(allowed_updates=["message"])
    amina = standin.user()
    amina.sends("uno")
    amina.edits("due")
    assert [bool(update.message) for update in await bot.get_updates()] == [True]


async def test_a_raw_update_is_whatever_it_is(standin: StandIn) -> None:
    standin.raw({"message": {"message_id": "x", "chat": []}, "update_id": 5})
    standin.raw({"something_new": None})
    async with ClientSession() as http, http.get(f"{standin.url}/bot{standin.token}/getUpdates") as answer:
        assert (await answer.json())["result"][0] == {"update_id": 5, "message": {"message_id": "x", "chat": []}}
    assert standin.pending == 2


# ---- what the bot sends reaches people ----


async def test_html_becomes_text_and_entities(standin: StandIn, bot: Bot) -> None:
    amina = await known(standin)
    html = '<b>Questura 🏛</b> &amp; <a href="https://poliziadistato.it/x?a=1&amp;b=2">sito</a>\n+39 0125 123456'
    sent = await bot.send_message(amina.id, html, parse_mode="HTML")
    (shown,) = amina.messages
    assert shown.text == "Questura 🏛 & sito\n+39 0125 123456" == sent.text
    assert shown.entity_texts("bold") == ["Questura 🏛"]
    assert shown.entity_texts("phone_number") == ["+39 0125 123456"]
    assert [one["url"] for one in shown.entities if one["type"] == "text_link"] == [
        "https://poliziadistato.it/x?a=1&b=2"
    ]
    assert sent.parse_entities(["bold"]) == {sent.entities[0]: "Questura 🏛"}
    assert standin.violations == []


async def test_a_locked_phone_does_not_show_what_a_spoiler_hides(standin: StandIn, bot: Bot) -> None:
    amina = await known(standin)
    await bot.send_message(
        amina.id, "Hai una risposta.\n<tg-spoiler>Il <b>permesso</b> 🙂 è pronto.</tg-spoiler>", parse_mode="HTML"
    )
    (shown,) = amina.messages
    assert "permesso" in shown.text
    assert "permesso" not in shown.notification
    assert shown.notification.startswith("Hai una risposta.")


@pytest.mark.parametrize(
    "html,complaint",
    [
        ("<b>a", 'Can\'t find end tag corresponding to start tag "b"'),
        ("a</b>", "Unexpected end tag at byte offset 1"),
        ("<b><i>a</b></i>", 'Unmatched end tag at byte offset 7, expected "</i>", found "</b>"'),
        ("è <br>", 'Unsupported start tag "br" at byte offset 3'),
        ("1 < 2", 'Unsupported start tag "" at byte offset 2'),
        ("a <b", "Unclosed start tag at byte offset 2"),
        ("<b>a</b", "Unclosed end tag at byte offset 4"),
        ("<span>a</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
        ("<a href>a</a>", 'Expected equal sign in declaration of an attribute of the tag "a" at byte offset 0'),
        ('<a href="x>a</a>', "Unclosed start tag at byte offset 0"),
    ],
)
async def test_broken_html_is_refused_in_telegrams_words(standin: StandIn, bot: Bot, html: str, complaint: str) -> None:
    amina = await known(standin)
    with pytest.raises(BadRequest) as refused:
        await bot.send_message(amina.id, html, parse_mode="HTML")
    assert refused.value.message.lower() == f"can't parse entities: {complaint}".lower()
    assert standin.calls[-1].error == f"Bad Request: can't parse entities: {complaint}"
    assert amina.messages == []
    assert len(standin.violations) == 1


@pytest.mark.parametrize(
    "text,complaint",
    [
        ("", "Message text is empty"),
        (" \n", "Message text is empty"),
        ("<b> </b>", "Text must be non-empty"),
        ("a" * 4097, "Message is too long"),
        ("🙂" * 2049, "Message is too long"),
    ],
)
async def test_lengths_count_after_parsing_in_utf16(standin: StandIn, bot: Bot, text: str, complaint: str) -> None:
    amina = await known(standin)
    with pytest.raises(BadRequest, match=f"(?i){complaint}"):
        await bot.send_message(amina.id, text, parse_mode="HTML")
    await bot.send_message(amina.id, f"<b>{'🙂' * 2048}</b>", parse_mode="HTML")
    assert len(amina.messages[0].text) == 2048


async def test_a_link_telegram_would_drop_is_noticed(standin: StandIn, bot: Bot) -> None:
    amina = await known(standin)
    await bot.send_message(amina.id, '<a href="tel:+390125123456">chiama</a>', parse_mode="HTML")
    assert amina.messages[0].entity_texts("text_link") == []
    assert standin.violations == ["Telegram makes no link of 'tel:+390125123456'"]


def buttons(*labels: str, data: str = "x") -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup([[InlineKeyboardButton(label, callback_data=f"{data}:{label}")] for label in labels])


async def test_a_pressed_button_is_asked_and_answered(standin: StandIn, bot: Bot) -> None:
    amina = await known(standin)
    await bot.send_message(amina.id, "Quale?", reply_markup=buttons("Sì", "No"))
    shown = await amina.next_message()
    assert shown.labels == ["Sì", "No"]
    amina.presses("No")
    query = (await bot.get_updates())[-1].callback_query
    assert query
    assert query.data == "x:No"
    assert query.message
    assert query.message.message_id == shown.id
    assert await query.answer("fatto")
    assert amina.answers == [(query.id, "fatto")]
    await bot.edit_message_reply_markup(chat_id=amina.id, message_id=shown.id)
    assert shown.buttons == []
    with pytest.raises(BadRequest, match="Message is not modified"):
        await bot.edit_message_reply_markup(chat_id=amina.id, message_id=shown.id)
    with pytest.raises(BadRequest, match="Message to edit not found"):
        await bot.edit_message_reply_markup(chat_id=amina.id, message_id=9999)


async def test_an_old_question_can_not_be_answered_any_more(bot: Bot, standin: StandIn) -> None:
    standin.world.query_life = 0
    amina = await known(standin)
    amina.presses_data("made-up")
    query = (await bot.get_updates())[-1].callback_query
    assert query
    with pytest.raises(BadRequest, match="Query is too old and response timeout expired or query id is invalid"):
        await query.answer()


@pytest.mark.parametrize(
    "markup,complaint",
    [
        (buttons("a", data="x" * 64), "Button_data_invalid"),
        (buttons(*"abcdefghijklmnopqrstuvwxyz" * 4), "Reply markup is too long"),
        (InlineKeyboardMarkup([[InlineKeyboardButton("a")]]), "Text buttons are unallowed"),
        (InlineKeyboardMarkup([[InlineKeyboardButton(" ", callback_data="a")]]), "must be non-empty"),
        (InlineKeyboardMarkup([[InlineKeyboardButton("a", callback_data="")]]), "Button_data_invalid"),
        (InlineKeyboardMarkup([[InlineKeyboardButton("a", url="tel:+39112")]]), "Unsupported URL protocol"),
        (InlineKeyboardMarkup([[InlineKeyboardButton("a", url="http://localhost/x")]]), "Wrong HTTP URL"),
    ],
    ids=["data", "many", "no action", "no text", "no data", "tel", "localhost"],
)
async def test_buttons_telegram_would_refuse(
    standin: StandIn, bot: Bot, markup: InlineKeyboardMarkup, complaint: str
) -> None:
    amina = await known(standin)
    with pytest.raises(BadRequest, match=f"(?i){complaint}"):
        await bot.send_message(amina.id, "Quale?", reply_markup=markup)


async def test_who_never_wrote_gets_nothing(standin: StandIn, bot: Bot) -> None:
    with pytest.raises(BadRequest, match="Chat not found"):
        await bot.send_message(42, "ciao")
    with pytest.raises(Forbidden, match="bot can't initiate conversation with a user"):
        await bot.send_message(standin.user().id, "ciao")


async def test_settings_of_a_message_are_seen(standin: StandIn, bot: Bot) -> None:
    amina = await known(standin)
    question = max(amina.sent)
    keyboard = ReplyKeyboardMarkup([[KeyboardButton("Il mio numero", request_contact=True)]], one_time_keyboard=True)
    await bot.send_message(
        amina.id,
        "https://www.elp.it/pagina",
        reply_markup=keyboard,
        protect_content=True,
        disable_notification=True,
        link_preview_options=LinkPreviewOptions(is_disabled=True),
        reply_parameters=ReplyParameters(question),
    )
    (shown,) = amina.messages
    assert (shown.protected, shown.silent, shown.preview, shown.reply_to) == (True, True, False, question)
    assert shown.keyboard
    assert shown.keyboard["keyboard"][0][0]["request_contact"] is True
    assert shown.entity_texts("url") == ["https://www.elp.it/pagina"]


async def test_files_and_places_arrive(standin: StandIn, bot: Bot) -> None:
    amina = await known(standin)
    await bot.send_document(
        amina.id, InputFile(b"BEGIN:VCALENDAR", "appuntamento.ics"), caption="<b>Lunedì</b>", parse_mode="HTML"
    )
    await bot.send_photo(amina.id, samples.photo())
    await bot.send_voice(amina.id, samples.voice(), duration=2)
    await bot.send_voice(amina.id, b"RIFF....WAVE")
    await bot.send_venue(amina.id, 45.46, 7.88, "Sportello", "Via Palestro 1, Ivrea")
    await bot.send_contact(amina.id, "112", "Emergenza")
    await bot.send_chat_action(amina.id, "typing")
    shown = amina.messages
    assert [message.kind for message in shown] == ["document", "photo", "voice", "document", "venue", "contact"]
    assert shown[0].file
    assert (shown[0].file.name, shown[0].file.content, shown[0].text) == (
        "appuntamento.ics",
        b"BEGIN:VCALENDAR",
        "Lunedì",
    )
    assert shown[4].venue
    assert shown[4].venue["title"] == "Sportello"
    assert amina.actions == ["typing"]
    assert standin.violations == []


async def test_an_album_arrives_as_one(standin: StandIn, bot: Bot) -> None:
    amina = await known(standin)
    await bot.send_media_group(
        amina.id, [InputMediaPhoto(samples.photo()), InputMediaPhoto(samples.photo(), caption="due")]
    )
    first, second = amina.messages
    assert first.album == second.album is not None
    assert second.text == "due"
    with pytest.raises(BadRequest, match=r"(?i)can't be mixed"):
        await bot.send_media_group(amina.id, [InputMediaPhoto(samples.photo()), InputMediaDocument(b"%PDF")])
    assert len(amina.messages) == 2


@pytest.mark.parametrize(
    "content,complaint",
    [
        (b"", "File must be non-empty"),
        (b"no picture", "Image_process_failed"),
        (b"x" * (10 * 1024**2 + 1), "File is too big"),
    ],
    ids=["empty", "no picture", "large"],
)
async def test_pictures_telegram_would_refuse(standin: StandIn, bot: Bot, content: bytes, complaint: str) -> None:
    amina = await known(standin)
    with pytest.raises(BadRequest, match=f"(?i){complaint}"):
        await bot.send_photo(amina.id, content)


async def test_a_file_is_fetched_and_a_large_one_is_not(standin: StandIn, bot: Bot) -> None:
    amina = standin.user()
    amina.sends_document(b"%PDF-1.4 lettera")
    amina.sends_voice(seconds=3600, size=29_000_000)
    letter, voice = [update.message for update in await bot.get_updates()]
    assert letter
    assert letter.document
    assert bytes(await (await letter.document.get_file()).download_as_bytearray()) == b"%PDF-1.4 lettera"
    assert voice
    assert voice.voice
    with pytest.raises(BadRequest, match="File is too big"):
        await voice.voice.get_file()
    with pytest.raises(BadRequest):
        await bot.get_file("AgACmadeup")


async def test_what_the_bot_is_called(standin: StandIn, bot: Bot) -> None:
    await bot.set_my_commands([BotCommand("book", "Prenota un appuntamento")], language_code="it")
    await bot.set_my_name("ELP", language_code="en")
    await bot.set_my_description("Servizi a Ivrea")
    await bot.set_my_short_description("Servizi")
    assert standin.commands == {"it": [{"command": "book", "description": "Prenota un appuntamento"}]}
    assert (standin.names, standin.descriptions) == ({"en": "ELP"}, {"": "Servizi a Ivrea"})
    assert standin.short_descriptions == {"": "Servizi"}
    with pytest.raises(BadRequest, match="Bot_command_invalid"):
        await bot.set_my_commands([BotCommand("Prenota", "x")])
    with pytest.raises(BadRequest, match="Short description is too long"):
        await bot.set_my_short_description("x" * 121)


@pytest.mark.parametrize(
    "method,fields,complaint",
    [
        ("sendMessage", {"text": "ciao"}, "chat_id is empty"),
        ("sendMessage", {"chat_id": 700000001}, "message text is empty"),
        ("sendMessage", {"chat_id": 700000001, "text": 5}, 'Field "text" must be of type String'),
        (
            "sendMessage",
            {"chat_id": 700000001, "text": "a", "protect_content": "maybe"},
            'Field "protect_content" must be',
        ),
        ("sendMessage", {"chat_id": 700000001, "text": "a", "colour": "red"}, 'there is no field "colour"'),
        ("sendMessage", {"chat_id": 700000001, "text": "a", "parse_mode": "Markdown"}, "unsupported parse_mode"),
        (
            "sendMessage",
            {"chat_id": 700000001, "text": "a", "reply_markup": "[]"},
            "can't parse inline keyboard JSON object",
        ),
        (
            "sendMessage",
            {"chat_id": 700000001, "text": "a", "reply_markup": {"inline_keyboard": [[{"callback_data": "a"}]]}},
            "can't parse inline keyboard button: Can't find field \"text\"",
        ),
        (
            "sendVenue",
            {"chat_id": 700000001, "latitude": 95, "longitude": 7, "title": "a", "address": "b"},
            "wrong location",
        ),
        ("sendChatAction", {"chat_id": 700000001, "action": "sleeping"}, "wrong parameter action"),
        ("getUpdates", {"limit": 500}, "limit must be between 1 and 100"),
        ("sendRocket", {}, "Not Found: method not found"),
    ],
)
async def test_calls_that_are_wrong(standin: StandIn, method: str, fields: dict[str, Any], complaint: str) -> None:
    standin.user(700_000_001).starts()
    async with ClientSession() as http, http.post(f"{standin.url}/bot{standin.token}/{method}", json=fields) as answer:
        body = await answer.json()
    assert body["ok"] is False
    assert body["error_code"] == answer.status in (400, 404)
    assert complaint in body["description"]
    assert complaint in standin.violations[0]
    assert standin.calls[0].error == body["description"]
