"""Checks a call of the Bot API against the derived table: names, types, required fields, lengths, ranges."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

_TABLE: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "api.json").read_text(encoding="utf-8"))
METHODS = _TABLE["methods"]
TYPES = _TABLE["types"]
_TOO_LONG = {
    "callback_data": "BUTTON_DATA_INVALID",
    "secret_token": "secret token is too long",
    "command": "BOT_COMMAND_INVALID",
    "description": "description is too long",
    "name": "bot name is too long",
    "short_description": "short description is too long",
    "text": "MESSAGE_TOO_LONG",
}
_CALLED = {
    "InlineKeyboardMarkup": "inline keyboard",
    "InlineKeyboardButton": "inline keyboard button",
    "ReplyKeyboardMarkup": "reply keyboard markup",
    "KeyboardButton": "keyboard button",
    "BotCommand": "BotCommand",
    "ReplyParameters": "reply parameters",
    "LinkPreviewOptions": "link preview options",
}
_NAMES = {"Integer": "Number", "Float": "Number", "String": "String", "Boolean": "Boolean"}


class Refused(Exception):
    """What Telegram answers instead of a result."""

    def __init__(self, description: str, status: int = 400, **parameters: Any) -> None:
        prefix = {400: "Bad Request: ", 403: "Forbidden: ", 409: "Conflict: "}.get(status, "")
        super().__init__(prefix + description)
        self.status = status
        self.description = prefix + description
        self.parameters = parameters


def utf16_length(text: str) -> int:
    """In the units in which Telegram counts."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def check_call(method: str, given: Mapping[str, Any], uploads: Collection[str]) -> dict[str, Any]:
    """The fields with their types; what stands in a field of a form is read from its text. Raises Refused."""
    if method not in METHODS:
        raise Refused("Not Found: method not found", 404)
    return _check_fields(METHODS[method], given, uploads, "")


def _check_fields(
    table: Mapping[str, Any], given: Mapping[str, Any], uploads: Collection[str], owner: str
) -> dict[str, Any]:
    checked: dict[str, Any] = {}
    for name, value in given.items():
        if name not in table:
            raise Refused(f'{owner}there is no field "{name}"')
        if value is not None:
            checked[name] = _check_field(name, table[name], value, uploads, owner)
    for name in uploads if not owner else ():
        if name in table and name not in checked:
            if "InputFile" not in table[name]["types"]:
                raise Refused(f'field "{name}" must not be a file')
            checked[name] = f"attach://{name}"
    for name, rule in table.items():
        if rule.get("required") and name not in checked:
            raise Refused(_missing(name, owner))
    return checked


def _missing(name: str, owner: str) -> str:
    if owner:
        return f'{owner}Can\'t find field "{name}"'
    known = {"text": "message text is empty", "chat_id": "chat_id is empty", "file_id": "invalid file_id specified"}
    return known.get(name, f'parameter "{name}" is required')


def _check_field(name: str, rule: Mapping[str, Any], value: Any, uploads: Collection[str], owner: str) -> Any:
    found = _read(rule["types"], name, value, uploads, owner)
    if rule.get("equals", found) != found:
        raise Refused(f'{owner}Field "{name}" must be "{rule["equals"]}"')
    if "items" in rule and not rule["items"][0] <= len(found) <= rule["items"][1]:
        raise Refused(f"{owner}wrong number of items in {name}: {rule['items'][0]}-{rule['items'][1]} are allowed")
    if "values" in rule and not rule["values"][0] <= found <= rule["values"][1]:
        raise Refused(f"{owner}{name} must be between {rule['values'][0]} and {rule['values'][1]}")
    if rule.get("parsed"):
        return found
    for unit, length in (("characters", utf16_length), ("bytes", _bytes)):
        if unit in rule and not rule[unit][0] <= length(found) <= rule[unit][1]:
            too_long = length(found) > rule[unit][1]
            raise Refused(_TOO_LONG.get(name, f"{name} is too long") if too_long else _too_short(name, owner))
    return found


def _too_short(name: str, owner: str) -> str:
    return "BUTTON_DATA_INVALID" if name == "callback_data" else f'{owner}Field "{name}" must be non-empty'


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _read(types: list[str], name: str, value: Any, uploads: Collection[str], owner: str) -> Any:
    """The value as the first type it fits. Raises Refused with the complaint of the type that was meant."""
    if len(types) > 1 and types[0].startswith("Array of "):
        inner = [kind.removeprefix("Array of ") for kind in types]
        return [_read(inner, name, item, uploads, owner) for item in _list(name, value, owner)]
    refused: Refused | None = None
    for kind in _meant(types, value):
        try:
            return _read_one(kind, name, value, uploads, owner)
        except Refused as error:
            refused = refused or error
    raise refused or Refused(f"{owner}can't parse {name}")


def _meant(types: list[str], value: Any) -> list[str]:
    """Of several objects the one whose required field is there: its complaint is the one that helps."""
    if len(types) == 1 or types[0] in ("Integer", "InputFile"):
        return types
    value = _decoded(value)
    if not isinstance(value, dict):
        return types[:1]
    for kind in types:
        fields = TYPES[kind]
        required = {name: rule.get("equals") for name, rule in fields.items() if rule.get("required")}
        if all(name in value and wanted in (None, value[name]) for name, wanted in required.items()):
            return [kind]
    return types[:1]


def _read_one(kind: str, name: str, value: Any, uploads: Collection[str], owner: str) -> Any:
    if kind == "InputFile":
        raise Refused(f"there is no file in the request for {name}")  # an upload has no field of its own
    if kind in _NAMES:
        return _plain(kind, name, value, owner)
    if kind.startswith("Array of "):
        inner = kind.removeprefix("Array of ")
        return [_read_item(inner, name, item, uploads) for item in _list(name, value, owner)]
    value = _decoded(value)
    if not isinstance(value, dict):
        raise Refused(f"{owner}can't parse {_CALLED.get(kind, name)} JSON object")
    if options := TYPES[kind].get("one_of"):
        return _read(options, name, value, uploads, owner)
    return _check_fields(TYPES[kind], value, uploads, f"can't parse {_CALLED.get(kind, kind)}: ")


def _read_item(kind: str, name: str, item: Any, uploads: Collection[str]) -> Any:
    if kind == "KeyboardButton" and isinstance(item, str):
        item = {"text": item}
    if isinstance(item, str) and kind != "String":
        raise Refused(f"can't parse {_CALLED.get(kind, name)}: expected an Object")
    return _read_one(kind, name, item, uploads, f"can't parse {_CALLED.get(kind, name)}: ")


def _list(name: str, value: Any, owner: str) -> list[Any]:
    value = _decoded(value)
    if not isinstance(value, list):
        raise Refused(f'{owner}Field "{name}" must be of type Array')
    return value


def _decoded(value: Any) -> Any:
    """Objects and lists come as JSON inside a form."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return None


def _plain(kind: str, name: str, value: Any, owner: str) -> Any:
    if kind == "String" and isinstance(value, str):
        return value
    if kind == "Boolean" and (isinstance(value, bool) or value in ("true", "false")):
        return value in (True, "true")
    if kind in ("Integer", "Float") and not isinstance(value, bool):
        try:
            if kind == "Float" and isinstance(value, int | float | str):
                return float(value)
            if isinstance(value, int) or (isinstance(value, str) and value.strip() == value):
                return int(value)
        except ValueError:
            pass
    raise Refused(f'{owner}Field "{name}" must be of type {_NAMES[kind]}')
