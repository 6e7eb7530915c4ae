"""Buttons under a message, checked as Telegram checks them."""

import re
from typing import Any
from urllib.parse import urlsplit

from backend.telegram_stand_in.table import Refused
from backend.telegram_stand_in.world import Button

Markup = dict[str, Any] | None
MOST_BUTTONS = 100
MOST_IN_A_ROW = 8
_ACTIONS = ("url", "callback_data", "switch_inline_query", "switch_inline_query_current_chat", "copy_text", "pay")


def check_markup(markup: Markup) -> None:
    """Raises Refused."""
    rows = (markup or {}).get("inline_keyboard")
    if rows is None:
        for button in (one for row in (markup or {}).get("keyboard", ()) for one in row):
            if not button["text"]:
                raise Refused("keyboard button text must be non-empty")
        return
    if sum(len(row) for row in rows) > MOST_BUTTONS or any(len(row) > MOST_IN_A_ROW for row in rows):
        raise Refused("reply markup is too long")
    for button in (one for row in rows for one in row):
        _check_button(button)


def _check_button(button: dict[str, Any]) -> None:
    if not button["text"].strip():
        raise Refused("inline keyboard button text must be non-empty")
    actions = [name for name in _ACTIONS if name in button]
    if not actions:
        raise Refused("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
    if len(actions) > 1:
        raise Refused("can't parse inline keyboard button: exactly one action is allowed")
    if "url" in button and (reason := _bad_address(button["url"])):
        raise Refused(f"inline keyboard button URL '{button['url']}' is invalid: {reason}")


def _bad_address(url: str) -> str | None:
    try:
        address = urlsplit(url if re.match(r"[^/]*:", url) else f"http://{url}")
    except ValueError:
        return "Wrong HTTP URL"
    if address.scheme not in ("http", "https", "tg", "ton"):
        return "Unsupported URL protocol"
    if not address.netloc:
        return "URL host is empty"
    if address.scheme.startswith("http") and "." not in address.netloc:
        return "Wrong HTTP URL"
    return None


def buttons_of(markup: Markup) -> list[list[Button]]:
    return [[_button(one) for one in row] for row in (markup or {}).get("inline_keyboard", ()) if row]


def _button(button: dict[str, Any]) -> Button:
    copied = button.get("copy_text", {}).get("text")
    return Button(button["text"], button.get("callback_data"), button.get("url"), copied)
