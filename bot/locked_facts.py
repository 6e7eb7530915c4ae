"""Facts a machine translation must not touch: taken out of a text before the model sees it, and put back after it.

Numbers, times, links, codes and names. A model gets a small number for each of them; what it gives back is believed
only when every number came back, as often, and no other (decision 15).
"""

import re
from collections import Counter
from collections.abc import Iterable

MARKS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_DIGIT = r"[\d¹²³¼-¾⁰-₉⅐-↉①-⓿❶-➓]"
_NUMBER = rf"{_DIGIT}(?:[A-Za-z]|{_DIGIT}|[.,:/_’'–-](?=[A-Za-z]{{0,20}}{_DIGIT}))*"
_NUMBERS = (  # phones, times, dates, amounts, postcodes, IBANs: whatever holds a digit, with what stands around it
    rf"[€$£]?\s?[+(]{{0,3}}(?:(?<![A-Za-z])[A-Za-z]{{1,20}})?{_NUMBER}(?:[ \u00a0\u202f()/–-]{{1,3}}{_NUMBER})*"
    r"(?:\s?[€$£%°]|\s?[aApP]\.?[mM]\b\.?)?"
)
_HOST = r"(?<![A-Za-z0-9.-])(?:[A-Za-z0-9-]{1,63}\.){1,5}"
_ADDRESSES = "|".join(
    (
        r"(?:https?://|www\.)[!#-;=?-~À-ɏ]+(?<![.,;:!?)'\]])",
        r"(?:mailto:)?(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,5}[A-Za-z]{2,20}",
        rf"{_HOST}(?:[a-z]{{2,20}}/[!#-;=?-~]+(?<![.,;:!?)'\]])|(?:it|eu|com|org|net|info|gov|edu|io)\b)",
        r"(?<![\w@])@\w{2,32}",
    )
)
# Papers and bodies known by their letters. Not every word in capitals: «NON venite» has to be translated.
_CODES = (
    r"P\.\s?IVA\b|(?<![A-Za-z.])(?:[A-Z]\.){2,}(?:[A-Z](?![A-Za-z]))?|(?<![A-Za-z])(?:[B-DF-HJ-NP-TV-XZ]{2,}|IBAN|BIC|SEPA|"
    r"ISEE|SPID|CIE|INPS|INAIL|ASL|CAF|CUP|SIM|PIN|PUK|OTP|PEC|URP|CPIA|CPI|SAI|CAS|ENI|DSU|NASPI|EORI)(?![A-Za-z])"
)
INVENTED = re.compile(f"{_ADDRESSES}|{_DIGIT}")
"""What nobody took out: a model has made it up."""
_FIRST, _LAST = 0xF0000, 0xFFFFD
"""Private characters; each stands for one fact while sentences are cut and put together."""
_LATIN = "[A-Za-zÀ-ɏ0-9]"
_INSIDE = ((_LATIN, _LATIN), ("[^\\W\u2e80-\U0003ffff]", r"\w"))
STAND_IN = re.compile(f"[{chr(_FIRST)}-{chr(_LAST)}]")
_PLAIN = re.compile("[1-9][0-9]{0,2}|(?:19|20)[0-9]{2}")
"""Numbers that stand for themselves, so that plurals and dates come out right; none is written with a separator."""
_PLACEHOLDERS = tuple(number for number in range(614, 989, 13) if len(set(str(number))) == 3)
"""What the model sees for a fact. Models copy a small number more faithfully than any sign we could make up."""


class Facts:
    """What was taken out of one text, by the character that stands for it."""

    def __init__(self, keep: Iterable[str]) -> None:
        names = sorted({name for name in keep if name.strip()}, key=len, reverse=True)
        parts = [*map(_name_pattern, names), _ADDRESSES, _CODES, _NUMBERS, STAND_IN.pattern]
        self._pattern = re.compile(f"[{MARKS}]{{0,4}}(?:{'|'.join(parts)})[{MARKS}]{{0,4}}")
        self._found: list[str] = []

    def freeze(self, text: str) -> str:
        return self._pattern.sub(self._take, text)

    def _take(self, found: re.Match[str]) -> str:
        fact = found[0].lstrip(" \u00a0\u202f\t\n")  # a blank before an amount without its sign belongs to the sentence
        self._found.append(fact)
        return found[0][: len(found[0]) - len(fact)] + chr(_FIRST + len(self._found) - 1)

    def of(self, stand_in: str) -> str:
        return self._found[ord(stand_in) - _FIRST]

    def thaw(self, text: str) -> str:
        return STAND_IN.sub(lambda found: self.of(found[0]), text)


def _name_pattern(name: str) -> str:
    """Whole words only, save where a script puts no space between them: Latin names stand in Chinese as they are."""
    before, after = (
        next((inside for known, inside in _INSIDE if re.match(known, edge)), "") for edge in (name[0], name[-1])
    )
    return (before and f"(?<!{before})") + re.escape(name) + (after and f"(?!{after})")


def hide(sentence: str, facts: Facts) -> tuple[str, dict[int, list[str]]] | None:
    """The sentence as the model gets it, and which stand-ins each number means; None when there are too many facts."""
    stand_ins = STAND_IN.findall(sentence)
    plain = {one: int(facts.of(one)) for one in stand_ins if _PLAIN.fullmatch(facts.of(one))}
    free = [number for number in _PLACEHOLDERS if number not in plain.values()]
    if len(stand_ins) - len(plain) > len(free):
        return None
    numbers = {one: plain[one] if one in plain else free.pop() for one in stand_ins}
    meant: dict[int, list[str]] = {}
    for one in stand_ins:
        meant.setdefault(numbers[one], []).append(one)
    return STAND_IN.sub(lambda found: str(numbers[found[0]]), sentence), meant


def bring_back(answer: str, meant: dict[int, list[str]]) -> str | None:
    """None unless the model gave back every number it was given, as often, and no other."""
    runs = re.findall(r"\d+", answer)
    if any(len(run) > 4 for run in runs):
        return None
    if Counter(map(int, runs)) != {number: len(stand_ins) for number, stand_ins in meant.items()}:
        return None
    left = {number: iter(stand_ins) for number, stand_ins in meant.items()}
    return re.sub(r"\d+", lambda found: next(left[int(found[0])]), answer)
