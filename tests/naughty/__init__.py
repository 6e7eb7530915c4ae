"""Strings that programs stumble over, in `strings.txt`; `naughty_strings()` reads them."""

import re
from pathlib import Path

_FILE = Path(__file__).with_name("strings.txt")
_TIMES = re.compile(r"^(?P<count>\d+) × (?P<what>.+)$", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([nrt\\]))")
_SHORT = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}


def _unescape(text: str) -> str:
    """Half surrogates stay halves: that is what a JSON escape can smuggle in."""

    def one(found: re.Match[str]) -> str:
        code = found[1] or found[2] or found[3]
        return chr(int(code, 16)) if code else _SHORT[found[4]]

    return _ESCAPE.sub(one, text)


def naughty_strings() -> list[str]:
    r"""One from each line that is not empty and does not begin with `##`. `\x00`, `\u200b`, `\U0001f600`, `\n`, `\r`,
    `\t` and `\\` are escapes; `500 × ab` is `ab` five hundred times."""
    found = []
    for line in _FILE.read_text(encoding="utf-8").split("\n"):
        if not line.strip() or line.startswith("##"):
            continue
        times = _TIMES.match(line)
        found.append(_unescape(times["what"]) * int(times["count"]) if times else _unescape(line))
    return found
