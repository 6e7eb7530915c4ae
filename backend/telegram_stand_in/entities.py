"""Text as Telegram reads it: HTML into plain text and entities, and the entities it finds by itself.

Follows the parser of Telegram's own library (tdlib, MessageEntity.cpp, parse_html), its complaints word by word.
"""

import html
import re
from typing import Any

from backend.telegram_stand_in.table import Refused, utf16_length

Entity = dict[str, Any]
_TAGS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "span": "spoiler",
    "code": "code",
    "pre": "pre",
    "a": "text_link",
    "blockquote": "blockquote",
}
_SPECIAL = re.compile(r"[<&]")
_REFERENCE = re.compile(r"&(?:(lt|gt|amp|quot)|#x([0-9a-fA-F]{1,8})|#([0-9]{1,8}));?")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_START = re.compile(r"<([^\s>]*)")
_ATTRIBUTE = re.compile(r"\s*([^\s=>]*)\s*(=?)\s*")
_TOKEN = re.compile(r"[A-Za-z0-9.-]*")
_END = re.compile(r"</([^\s>]*)\s*(>?)")
_FOUND = re.compile(
    r"(?P<url>https?://[^\s<>«»]+[^\s<>«».,;:!?)\]'\"])"
    r"|(?P<email>[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,})"
    r"|(?P<phone_number>(?<![\w+])\+[1-9](?:[ .\-/]?\(?\d\)?){6,14}(?!\w))"
    r"|(?P<bot_command>(?<![\w/<>])/[A-Za-z0-9_]{1,32}(?:@\w{3,32})?(?!\w))"
)


def _refuse(reason: str) -> Refused:
    return Refused(f"can't parse entities: {reason}")


def parse(text: str, mode: str | None) -> tuple[str, list[Entity]]:
    """Plain text without white space round it, and its entities by offset. Raises Refused."""
    entities: list[Entity] = []
    if mode is not None:
        if mode.lower() != "html":
            raise Refused("unsupported parse_mode")  # ours writes nothing but HTML
        text, entities = parse_html(text)
    text, entities = _trimmed(text.replace("\r", ""), entities)
    return text, sorted(entities + _found(text, entities), key=lambda one: (one["offset"], -one["length"]))


def parse_html(text: str) -> tuple[str, list[Entity]]:
    """Raises Refused with the byte at which Telegram stumbles."""
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.out: list[str] = []
        self.length = 0  # of `out`, in UTF-16 units
        self.open: list[tuple[str, str, int]] = []  # tag, argument, offset
        self.entities: list[Entity] = []

    def parse(self) -> tuple[str, list[Entity]]:
        while special := _SPECIAL.search(self.text, self.at):
            self._copy(self.text[self.at : special.start()])
            self.at = special.start()
            if special[0] == "&":
                self._copy(self._reference())
            elif self.text.startswith("</", self.at):
                self._end_tag()
            else:
                self._start_tag()
        self._copy(self.text[self.at :])
        if self.open:
            raise _refuse(f'Can\'t find end tag corresponding to start tag "{self.open[-1][0]}"')
        return "".join(self.out), self.entities

    def _byte(self, position: int) -> int:
        return len(self.text[:position].encode("utf-8", "surrogatepass"))

    def _copy(self, text: str) -> None:
        self.out.append(text)
        self.length += utf16_length(text)

    def _reference(self) -> str:
        """What `&…` stands for; a lone ampersand is itself."""
        found = _REFERENCE.match(self.text, self.at)
        if not found:
            self.at += 1
            return "&"
        self.at = found.end()
        return _NAMED[found[1]] if found[1] else html.unescape(found[0].rstrip(";") + ";")

    def _start_tag(self) -> None:
        begin = self.at
        name = _START.match(self.text, begin)
        assert name
        self.at = name.end()
        tag = name[1].lower()
        if self.at == len(self.text):
            raise _refuse(f"Unclosed start tag at byte offset {self._byte(begin)}")
        if tag not in _TAGS:
            raise _refuse(f'Unsupported start tag "{tag}" at byte offset {self._byte(begin)}')
        argument = self._attributes(tag, begin)
        if tag == "span" and argument != "spoiler":
            raise _refuse(f'Tag "span" must have class "tg-spoiler" at byte offset {self._byte(begin)}')
        self.open.append((tag, argument, self.length))

    def _attributes(self, tag: str, begin: int) -> str:
        """What matters of them: the address of a link, the class of a span."""
        argument = ""
        while True:
            while self.at < len(self.text) and self.text[self.at].isspace():
                self.at += 1
            if self.text.startswith(">", self.at):
                self.at += 1
                return argument
            name, value = self._attribute(tag, begin)
            if tag == "a" and name == "href":
                argument = value
            elif tag == "span" and name == "class" and value.startswith("tg-"):
                argument = value.removeprefix("tg-")

    def _attribute(self, tag: str, begin: int) -> tuple[str, str]:
        where = f'of the tag "{tag}" at byte offset {self._byte(begin)}'
        head = _ATTRIBUTE.match(self.text, self.at)
        assert head
        if not head[1]:
            raise _refuse(f'Empty attribute name in the tag "{tag}" at byte offset {self._byte(begin)}')
        if not head[2]:
            raise _refuse(f"Expected equal sign in declaration of an attribute {where}")
        self.at = head.end()
        quote = self.text[self.at : self.at + 1]
        if quote in ("'", '"'):
            end = self.text.find(quote, self.at + 1)
            value = html.unescape(self.text[self.at + 1 : end])
            self.at = end + 1 if end >= 0 else len(self.text)
        else:
            token = _TOKEN.match(self.text, self.at)
            assert token
            value, start, self.at = token[0].lower(), self.at, token.end()
            if self.at < len(self.text) and not self.text[self.at].isspace() and self.text[self.at] != ">":
                raise _refuse(f"Unexpected end of name token at byte offset {self._byte(start)}")
        if self.at >= len(self.text):
            raise _refuse(f"Unclosed start tag at byte offset {self._byte(begin)}")
        return head[1], value

    def _end_tag(self) -> None:
        begin = self.at
        if not self.open:
            raise _refuse(f"Unexpected end tag at byte offset {self._byte(begin)}")
        end = _END.match(self.text, begin)
        assert end
        if not end[2]:
            raise _refuse(f"Unclosed end tag at byte offset {self._byte(begin)}")
        tag, argument, offset = self.open.pop()
        if end[1] and end[1].lower() != tag:
            found = f'expected "</{tag}>", found "</{end[1]}>"'
            raise _refuse(f"Unmatched end tag at byte offset {self._byte(begin)}, {found}")
        self.at = end.end()
        if self.length > offset:
            self._close(tag, argument, offset)

    def _close(self, tag: str, argument: str, offset: int) -> None:
        entity: Entity = {"type": _TAGS[tag], "offset": offset, "length": self.length - offset}
        if tag == "a":
            entity["url"] = argument or cut("".join(self.out), entity)
        self.entities.append(entity)


def is_link(url: str) -> bool:
    """Whether Telegram keeps it as a link; anything else becomes bare text without a word."""
    return re.match(r"(?:https?://)?[^\s/:@]+\.[^\s/:@]{2,}(?::\d+)?(?:[/?#]\S*)?$|(?:tg|ton)://?\S+$", url) is not None


def cut(text: str, entity: Entity) -> str:
    """The part of the text an entity covers."""
    units = text.encode("utf-16-le", "surrogatepass")
    return units[2 * entity["offset"] : 2 * (entity["offset"] + entity["length"])].decode("utf-16-le", "surrogatepass")


def _trimmed(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    left = utf16_length(text) - utf16_length(text.lstrip())
    text = text.strip()
    length = utf16_length(text)
    kept = []
    for one in entities:
        start, end = max(0, one["offset"] - left), min(length, one["offset"] + one["length"] - left)
        if end > start:
            kept.append(one | {"offset": start, "length": end - start})
    return text, kept


def _found(text: str, entities: list[Entity]) -> list[Entity]:
    """Addresses, numbers and commands that Telegram makes tappable by itself, outside links and code."""
    taken = [
        (one["offset"], one["offset"] + one["length"])
        for one in entities
        if one["type"] in ("text_link", "code", "pre")
    ]
    found = []
    for match in _FOUND.finditer(text):
        start = utf16_length(text[: match.start()])
        end = start + utf16_length(match[0])
        if not any(start < last and end > first for first, last in taken):
            found.append({"type": str(match.lastgroup), "offset": start, "length": end - start})
    return found
