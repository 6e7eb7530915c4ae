"""The methods of the Bot API that the project calls, on checked fields. What Telegram would refuse is refused."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from backend.telegram_stand_in import entities, uploads
from backend.telegram_stand_in.keyboards import buttons_of, check_markup
from backend.telegram_stand_in.people import Chat, unix_now
from backend.telegram_stand_in.table import Refused, utf16_length
from backend.telegram_stand_in.updates import Webhook
from backend.telegram_stand_in.world import Shown, Uploaded, World

Fields = Mapping[str, Any]
Files = Mapping[str, Uploaded]
_ACTIONS = frozenset(
    {
        "typing",
        "upload_photo",
        "record_video",
        "upload_video",
        "record_voice",
        "upload_voice",
        "upload_document",
        "choose_sticker",
        "find_location",
        "record_video_note",
        "upload_video_note",
    }
)
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
_COMMAND = re.compile(r"[a-z0-9_]{1,32}")
_LANGUAGE = re.compile(r"(?:[a-z]{2})?")
_HERE = ("127.0.0.1", "localhost", "::1")
_UNCHANGED = (
    "message is not modified: specified new message content and reply markup are exactly the same as a current"
    " content and reply markup of the message"
)
_TOO_OLD = "query is too old and response timeout expired or query ID is invalid"


def do(world: World, method: str, fields: Fields, files: Files) -> Any:
    """The result of a call. Raises Refused."""
    return METHODS[method](world, fields, files)


def get_chat(world: World, chat_id: int | str) -> Chat:
    """A chat the bot may write to. Raises Refused."""
    if isinstance(chat_id, str):
        raise Refused("chat not found")
    if chat_id in world.moved:
        new = world.moved[chat_id]
        raise Refused("group chat was upgraded to a supergroup chat", migrate_to_chat_id=new)
    chat = world.chats.get(chat_id)
    if chat is None:
        raise Refused("chat not found")
    if chat.refusal:
        raise Refused(chat.refusal, 403)
    return chat


# ---- sending ----


def _send(world: World, kind: str, fields: Fields, content: dict[str, Any], **seen: Any) -> dict[str, Any]:
    """Shows the message to the person; the result is the message as Telegram keeps it."""
    chat = get_chat(world, fields["chat_id"])
    markup = fields.get("reply_markup")
    check_markup(markup)
    number = next(world.message_ids)
    raw = {
        "message_id": number,
        "from": world.bot,
        "chat": chat.described,
        "date": unix_now(),
        **_replied(chat, fields.get("reply_parameters")),
        **content,
    }
    if markup and "inline_keyboard" in markup:
        raw["reply_markup"] = markup
    if fields.get("protect_content"):
        raw["has_protected_content"] = True
    shown = Shown(
        number,
        time.monotonic(),
        kind,
        raw,
        buttons=buttons_of(markup),
        keyboard=markup if markup and "inline_keyboard" not in markup else None,
        protected=bool(fields.get("protect_content")),
        silent=bool(fields.get("disable_notification")),
        reply_to=raw.get("reply_to_message", {}).get("message_id"),
        **seen,
    )
    chat.show(shown)
    world.shown += 1
    return raw


def _replied(chat: Chat, parameters: dict[str, Any] | None) -> dict[str, Any]:
    if not parameters:
        return {}
    number = parameters["message_id"]
    answered = chat.find(number)
    raw = answered.raw if answered else getattr(chat, "sent", {}).get(number)
    if raw is None:
        if parameters.get("allow_sending_without_reply"):
            return {}
        raise Refused("message to be replied not found")
    return {"reply_to_message": {key: value for key, value in raw.items() if key != "reply_to_message"}}


def _text(world: World, fields: Fields, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parsed text or caption: what the message holds of it, and what the person sees."""
    given = fields.get(name, "")
    prefix = "caption_" if name == "caption" else ""
    if name == "text" and not given.strip():
        raise Refused("message text is empty")
    plain, found = entities.parse(given, fields.get("parse_mode"))
    if name == "text" and not plain:
        raise Refused("text must be non-empty")
    if utf16_length(plain) > (1024 if name == "caption" else 4096):
        raise Refused("message caption is too long" if name == "caption" else "message is too long")
    found = _without_bad_links(world, plain, [*found, *fields.get(f"{prefix}entities", ())])
    content: dict[str, Any] = {name: plain} if plain else {}
    if found and plain:
        content[f"{prefix}entities"] = found
    return content, {"text": plain, "entities": found, "html": given if fields.get("parse_mode") else None}


def _without_bad_links(world: World, text: str, found: list[entities.Entity]) -> list[entities.Entity]:
    kept = []
    for one in found:
        if one["type"] == "text_link" and not entities.is_link(one["url"]):
            world.violations.append(f"Telegram makes no link of {one['url'][:80]!r}")
            continue
        kept.append(one)
    return kept


def _send_message(world: World, fields: Fields, _: Files) -> dict[str, Any]:
    content, seen = _text(world, fields, "text")
    preview = not fields.get("link_preview_options", {}).get("is_disabled", False)
    if not preview:
        content["link_preview_options"] = {"is_disabled": True}
    return _send(world, "text", fields, content, **seen, preview=preview)


def _send_venue(world: World, fields: Fields, _: Files) -> dict[str, Any]:
    location = _location(fields)
    for name in ("title", "address"):
        if not fields[name].strip():
            raise Refused(f"venue {name} must be non-empty")
    venue = {"location": location, "title": fields["title"], "address": fields["address"]}
    return _send(world, "venue", fields, {"location": location, "venue": venue}, location=location, venue=venue)


def _send_location(world: World, fields: Fields, _: Files) -> dict[str, Any]:
    location = _location(fields)
    return _send(world, "location", fields, {"location": location}, location=location)


def _location(fields: Fields) -> dict[str, Any]:
    latitude, longitude = fields["latitude"], fields["longitude"]
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise Refused("wrong location coordinates")
    return {"latitude": latitude, "longitude": longitude}


def _send_contact(world: World, fields: Fields, _: Files) -> dict[str, Any]:
    if not fields["phone_number"].strip() or not fields["first_name"].strip():
        raise Refused("contact phone number and first name must be non-empty")
    contact = {name: fields[name] for name in ("phone_number", "first_name", "last_name", "vcard") if name in fields}
    return _send(world, "contact", fields, {"contact": contact}, contact=contact)


def _send_file(kind: str) -> Callable[[World, Fields, Files], dict[str, Any]]:
    def send(world: World, fields: Fields, files: Files) -> dict[str, Any]:
        get_chat(world, fields["chat_id"])
        shown_as, stored, content = uploads.take(world, kind, fields[kind], files, fields)
        caption, seen = _text(world, fields, "caption")
        return _send(world, shown_as, fields, content | caption, **seen, file=stored)

    return send


def _send_media_group(world: World, fields: Fields, files: Files) -> list[dict[str, Any]]:
    """An album: messages that belong together. All of it is looked at before any of it is sent."""
    album = str(world.number() + 13_000_000)
    ready = []
    for item in fields["media"]:
        shown_as, stored, content = uploads.take(world, item["type"], item["media"], files, item)
        caption, seen = _text(world, item, "caption")
        ready.append((shown_as, content | caption | {"media_group_id": album}, seen | {"file": stored, "album": album}))
    if len({shown_as for shown_as, _, _ in ready}) > 1:
        raise Refused("document can't be mixed with other media types")
    return [_send(world, shown_as, fields, content, **seen) for shown_as, content, seen in ready]


def _send_chat_action(world: World, fields: Fields, _: Files) -> bool:
    if fields["action"] not in _ACTIONS:
        raise Refused("wrong parameter action in request")
    get_chat(world, fields["chat_id"]).act(fields["action"])
    world.changed()
    return True


# ---- what was sent before ----


def _answer_callback_query(world: World, fields: Fields, _: Files) -> bool:
    question = world.questions.get(fields["callback_query_id"])
    if question is None or time.monotonic() - question.asked > world.query_life:
        raise Refused(_TOO_OLD)
    answers = getattr(question.chat, "answers", None)
    if answers is not None:
        answers.append((question.id, fields.get("text")))
    world.changed()
    return True


def _get_own(world: World, fields: Fields, verb: str) -> tuple[Chat, Shown]:
    if "chat_id" not in fields:
        raise Refused("chat_id is empty")
    chat = get_chat(world, fields["chat_id"])
    number = fields.get("message_id", 0)
    shown = chat.find(number)
    if shown is None:
        theirs = number in getattr(chat, "sent", {})
        raise Refused(
            f"message can't be {verb}{'d' if verb[-1] == 'e' else 'ed'}" if theirs else f"message to {verb} not found"
        )
    return chat, shown


def _edit_message_reply_markup(world: World, fields: Fields, _: Files) -> dict[str, Any]:
    _chat, shown = _get_own(world, fields, "edit")
    markup = fields.get("reply_markup")
    check_markup(markup)
    if buttons_of(markup) == shown.buttons:
        raise Refused(_UNCHANGED)
    return _edit(world, shown, {}, markup)


def _edit_message_text(world: World, fields: Fields, _: Files) -> dict[str, Any]:
    _chat, shown = _get_own(world, fields, "edit")
    if shown.kind != "text":
        raise Refused("there is no text in the message to edit")
    markup = fields.get("reply_markup")
    check_markup(markup)
    content, seen = _text(world, fields, "text")
    if (seen["text"], seen["entities"], buttons_of(markup)) == (shown.text, shown.entities, shown.buttons):
        raise Refused(_UNCHANGED)
    shown.text, shown.entities, shown.html = seen["text"], seen["entities"], seen["html"]
    return _edit(world, shown, content, markup)


def _edit(world: World, shown: Shown, content: dict[str, Any], markup: dict[str, Any] | None) -> dict[str, Any]:
    raw = {key: value for key, value in shown.raw.items() if key != "reply_markup"}
    if markup and markup["inline_keyboard"]:
        raw["reply_markup"] = markup
    shown.raw = raw | content | {"edit_date": unix_now()}
    shown.buttons = buttons_of(markup)
    world.changed()
    return shown.raw


def _delete_message(world: World, fields: Fields, _: Files) -> bool:
    chat, shown = _get_own(world, fields, "delete")
    chat.remove(shown)
    world.changed()
    return True


def _get_file(world: World, fields: Fields, _: Files) -> dict[str, Any]:
    stored = world.files.get(fields["file_id"])
    if stored is None:
        raise Refused("wrong file_id or the file is temporarily unavailable")
    if stored.size > uploads.LARGEST_DOWNLOAD:
        raise Refused("file is too big")
    described = stored.described()
    return {key: described[key] for key in ("file_id", "file_unique_id", "file_size")} | {"file_path": stored.path}


# ---- what the bot is called ----


def _get_me(world: World, _fields: Fields, _files: Files) -> dict[str, Any]:
    can = {"can_join_groups": True, "can_read_all_group_messages": False, "supports_inline_queries": False}
    return world.bot | can


def _language(fields: Fields) -> str:
    code = str(fields.get("language_code", ""))
    if not _LANGUAGE.fullmatch(code):
        raise Refused("invalid language code specified")
    return code


def _set_my_commands(world: World, fields: Fields, _: Files) -> bool:
    for command in fields["commands"]:
        if not _COMMAND.fullmatch(command["command"]):
            raise Refused("BOT_COMMAND_INVALID")
    world.commands[_language(fields)] = fields["commands"]
    return True


def _delete_my_commands(world: World, fields: Fields, _: Files) -> bool:
    world.commands.pop(_language(fields), None)
    return True


def _get_my_commands(world: World, fields: Fields, _: Files) -> list[dict[str, Any]]:
    return world.commands.get(_language(fields), [])


def _set_my(name: str, where: str) -> Callable[[World, Fields, Files], bool]:
    def set_text(world: World, fields: Fields, _: Files) -> bool:
        getattr(world, where)[_language(fields)] = fields.get(name, "")
        return True

    return set_text


# ---- webhook ----


def _set_webhook(world: World, fields: Fields, _: Files) -> bool:
    if fields.get("drop_pending_updates"):
        world.updates.forget()
    if not fields["url"]:
        world.updates.set_webhook(None)
        return True
    address = urlsplit(fields["url"])
    if address.scheme != "https" and not (address.scheme == "http" and address.hostname in _HERE):
        raise Refused("bad webhook: An HTTPS URL must be provided for webhook")
    secret = fields.get("secret_token")
    if secret is not None and not _SECRET.fullmatch(secret):
        raise Refused("secret token contains unallowed characters")
    webhook = Webhook(fields["url"], secret, fields.get("max_connections", 40))
    world.updates.set_webhook(replace(webhook, allowed_updates=tuple(fields.get("allowed_updates", ()))))
    return True


def _delete_webhook(world: World, fields: Fields, _: Files) -> bool:
    world.updates.set_webhook(None)
    if fields.get("drop_pending_updates"):
        world.updates.forget()
    return True


def _get_webhook_info(world: World, _fields: Fields, _files: Files) -> dict[str, Any]:
    webhook, waiting = world.updates.webhook, len(world.updates.waiting)
    info: dict[str, Any] = {"url": "", "has_custom_certificate": False, "pending_update_count": waiting}
    if webhook:
        info |= {"url": webhook.url, "max_connections": webhook.max_connections}
        if world.updates.last_error:
            info |= {"last_error_date": unix_now(), "last_error_message": world.updates.last_error}
    return info


METHODS: dict[str, Callable[[World, Fields, Files], Any]] = {
    "getMe": _get_me,
    "sendMessage": _send_message,
    "sendVenue": _send_venue,
    "sendLocation": _send_location,
    "sendContact": _send_contact,
    "sendPhoto": _send_file("photo"),
    "sendDocument": _send_file("document"),
    "sendVoice": _send_file("voice"),
    "sendMediaGroup": _send_media_group,
    "sendChatAction": _send_chat_action,
    "answerCallbackQuery": _answer_callback_query,
    "editMessageReplyMarkup": _edit_message_reply_markup,
    "editMessageText": _edit_message_text,
    "deleteMessage": _delete_message,
    "getFile": _get_file,
    "setMyCommands": _set_my_commands,
    "deleteMyCommands": _delete_my_commands,
    "getMyCommands": _get_my_commands,
    "setMyName": _set_my("name", "names"),
    "setMyDescription": _set_my("description", "descriptions"),
    "setMyShortDescription": _set_my("short_description", "short_descriptions"),
    "setWebhook": _set_webhook,
    "deleteWebhook": _delete_webhook,
    "getWebhookInfo": _get_webhook_info,
}
