"""Makes `api.json`, the small table of what the stand-in checks, from a whole description of the Bot API.

    python -m backend.telegram_stand_in.derive DESCRIPTION.json

Only the methods this project calls, only fields that concern a bot like ours, and of those only what can be checked:
types, whether a field is required, lengths and ranges. The sentences of the description are not kept.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parent / "api.json"
METHODS = (
    "getMe",
    "getUpdates",
    "setWebhook",
    "deleteWebhook",
    "getWebhookInfo",
    "getFile",
    "sendMessage",
    "sendVenue",
    "sendLocation",
    "sendContact",
    "sendPhoto",
    "sendDocument",
    "sendVoice",
    "sendMediaGroup",
    "sendChatAction",
    "answerCallbackQuery",
    "editMessageReplyMarkup",
    "editMessageText",
    "deleteMessage",
    "setMyCommands",
    "deleteMyCommands",
    "getMyCommands",
    "setMyName",
    "setMyDescription",
    "setMyShortDescription",
)
TYPES = (
    "BotCommand",
    "ForceReply",
    "InlineKeyboardButton",
    "InlineKeyboardMarkup",
    "InputMediaDocument",
    "InputMediaPhoto",
    "KeyboardButton",
    "LinkPreviewOptions",
    "MessageEntity",
    "ReplyKeyboardMarkup",
    "ReplyKeyboardRemove",
    "ReplyParameters",
    "BotCommandScope",
    "BotCommandScopeDefault",
    "BotCommandScopeAllPrivateChats",
    "BotCommandScopeAllGroupChats",
    "CopyTextButton",
)
PLAIN = ("Integer", "Float", "String", "Boolean", "InputFile")
NOT_OURS = re.compile(r"business|suggested_post|paid|effect|thread|topic|live_period|custom_emoji|checklist|poll|story")
_CHARACTERS = re.compile(r"(\d+)-(\d+) characters")
_BYTES = re.compile(r"(\d+)-(\d+) bytes")
_VALUES = re.compile(r"[Vv]alues between (\d+)-(\d+)|^[^.]*, (\d+)-(\d+)\. Defaults")
_ITEMS = re.compile(r"include (\d+)-(\d+) items|At most (\d+) ")


def derive(description: dict[str, Any]) -> dict[str, Any]:
    """The table. Raises KeyError when the description lacks something we call."""
    return {
        "version": description["version"],
        "methods": {name: _fields(description["methods"][name]) for name in METHODS},
        "types": {name: _type(description["types"][name]) for name in TYPES},
    }


def _type(described: dict[str, Any]) -> dict[str, Any]:
    """Its fields, or the types it is one of."""
    if described.get("subtypes"):
        return {"one_of": [name for name in described["subtypes"] if name in TYPES]}
    return _fields(described)


def _fields(described: dict[str, Any]) -> dict[str, Any]:
    found = {field["name"]: _field(field) for field in described.get("fields", ())}
    return {name: field for name, field in found.items() if field["types"] and not NOT_OURS.search(name)}


def _field(described: dict[str, Any]) -> dict[str, Any]:
    text = described["description"]
    field: dict[str, Any] = {"types": [one for one in described["types"] if _innermost(one) in (*PLAIN, *TYPES)]}
    if described["required"]:
        field["required"] = True
    if must_be := re.search(r"must be (\w+)$", text):
        field["equals"] = must_be[1]
    for name, pattern in (("characters", _CHARACTERS), ("bytes", _BYTES), ("values", _VALUES), ("items", _ITEMS)):
        if found := pattern.search(text):
            numbers = [int(number) for number in found.groups() if number]
            field[name] = numbers if len(numbers) == 2 else [0, *numbers]
    if "after entit" in text:
        field["parsed"] = True
    return field


def _innermost(kind: str) -> str:
    return kind.rsplit(" ", 1)[-1]


def main() -> None:
    table = derive(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    TABLE.write_text(_written(table) + "\n", encoding="utf-8")


def _written(value: Any, depth: int = 0) -> str:
    """JSON with one line for each field, so that a new version of the Bot API can be reviewed as a difference."""
    if depth == 3 or not isinstance(value, dict) or not value:
        return json.dumps(value)
    inside = ",\n".join(f"{' ' * depth} {json.dumps(name)}: {_written(one, depth + 1)}" for name, one in value.items())
    return f"{{\n{inside}\n{' ' * depth}}}"


if __name__ == "__main__":
    main()
