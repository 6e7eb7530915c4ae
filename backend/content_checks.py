"""What can be wrong with the content files: every entry that people see, in every language they can choose."""

import re
from collections.abc import Iterator

from bot.language import detect, in_own_script, recognises
from bot.phrases import FALLBACK, SPOKEN
from knowledge_base import readability
from knowledge_base.entry import SOURCE_LANGUAGE, Entry, Text, TextState
from knowledge_base.files import Content, ContentError, load_content

_CONTACT = re.compile(r"https?://|www\.|@")
_NUMBER = re.compile(r"\d+")
_TIME = re.compile(r"(?<!\d)(\d{1,2})(?:[.:](\d{2}))?(?!\d)")
_WORD = re.compile(r"[^\W\d_]+")
_SENTENCE_END = re.compile(r"[.!?:;؟。！？；۔।\n]+")
_IN_BRACKETS = re.compile(r"\([^)]*\)|（[^）]*）")
FEWEST_QUESTIONS = 30
_FEWEST_OWN_LETTERS = 0.6
"""The rest are Italian names and official words, which stay as they stand on doors and forms."""
_LONGEST = {"title": 70, "summary": 400, "step": 180}
_LEAST_LENGTH, _GREATEST_LENGTH = 0.65, 1.45
"""Of a whole text, as parts of the Italian."""
_LENGTH = {"zh": 0.42}
"""What a text has of the letters of an Italian one, where that is far from one."""
_LEFT_OVER = 6
"""Words: a sentence of so many that stands in another language too was forgotten, a name is shorter."""
_LAST_MONTH = 12
"""Numbers up to it are words in one language and figures in another («un anno», «12 个月»)."""


def content_problems(content: Content | None = None) -> list[str]:
    """One line each; of the content files when nothing else is given."""
    try:
        content = content or load_content()
    except ContentError as error:
        return [str(error)]
    shown = [entry for entry in content.entries if entry.shown]
    return [problem for entry in shown for problem in _entry_problems(entry)] + shared_questions(shown)


def _entry_problems(entry: Entry) -> Iterator[str]:
    for language in SPOKEN:
        state = entry.text_state(language)
        if state in (TextState.MISSING, TextState.OUTDATED):
            yield f"{entry.id}: the text in {language} is {state.value}"
        if state is not TextState.MISSING:
            yield from text_problems(entry, language)
    yield from (f"{entry.id}: {fact} is not in the record" for fact in _unread_facts(entry))


def _unread_facts(entry: Entry) -> Iterator[str]:
    """What a card would show that nobody read anywhere."""
    facts, record = entry.facts, entry.record
    phones = {_figures(part) for part in re.split(r"[;,]", record.phone or "")}
    yield from (f"the phone {phone.number}" for phone in facts.phones if _figures(phone.number) not in phones)
    yield from (f"the address {email}" for email in facts.emails if email not in (record.email or ""))
    if facts.url and str(facts.url).rstrip("/") not in (record.url or ""):
        yield f"the link {facts.url}"
    for name in ("address", "municipality"):
        if getattr(facts, name) not in (None, getattr(record, name)):
            yield f"the {name} {getattr(facts, name)}"
    if (facts.schedule or facts.always_open) and not record.opening_hours:
        yield "when it is open"
    read = {(int(hour), int(minute or 0)) for hour, minute in _TIME.findall(record.opening_hours or "")}
    for at in {at for period in facts.schedule for at in (period.opens, period.closes) if at}:
        if (at.hour, at.minute) not in read:
            yield f"the time {at:%H:%M}"
    if facts.spoken and not record.languages:
        yield "which languages are spoken"
    if facts.free is not None and not record.cost:
        yield "what it costs"


def _figures(text: str) -> str:
    return "".join(letter for letter in text if letter.isdigit())


def text_problems(entry: Entry, language: str) -> Iterator[str]:
    """Of a text that is there, whether or not people can choose its language."""
    text, where = entry.texts[language], f"{entry.id} ({language})"
    source = entry.texts.get(SOURCE_LANGUAGE)
    if numbers := entry.unsupported_numbers(language):
        yield f"{where}: numbers that the record does not hold: {', '.join(numbers)}"
    if any(not digit.isascii() for part in text.paragraphs() for digit in _NUMBER.findall(part)):
        yield f"{where}: figures other than 0 to 9, which no check can compare"
    if any(_CONTACT.search(part) for part in text.paragraphs()):
        yield f"{where}: links and e-mail addresses belong to the facts"
    if len(text.questions) < FEWEST_QUESTIONS:
        yield f"{where}: only {len(text.questions)} questions"
    if (share := in_own_script("".join(text.paragraphs()), language)) < _FEWEST_OWN_LETTERS:
        yield f"{where}: only {share:.0%} of the letters are in the language's script"
    elif (found := _other_language(text, language)) is not None:
        yield f"{where}: reads like {found}"
    yield from (f"{where}: {name} has {length} characters" for name, length in _too_long(text))
    yield from (f"{where}: {problem}" for problem in _hard_to_read(text, language))
    if source and language != SOURCE_LANGUAGE:
        yield from (f"{where}: {name} differs from the Italian" for name in _unlike(text, source))
        yield from (f"{where}: {problem}" for problem in _unlike_in_size(text, source, language))
    for other in (SOURCE_LANGUAGE, FALLBACK):
        if other != language and other in entry.texts:
            yield from (f"{where}: still in {other}: {left}" for left in _left_over(text, entry.texts[other]))


def _other_language(text: Text, language: str) -> str | None:
    """Which language the whole of a text is in, if another; official words in brackets do not count."""
    said = _IN_BRACKETS.sub(" ", ". ".join((text.summary, *text.steps, text.simple)))
    found = detect(said) if recognises(language) else None
    return found[0] if found is not None and found[0] != language else None


def _too_long(text: Text) -> Iterator[tuple[str, int]]:
    parts = [("title", text.title), ("summary", text.summary), *(("step", step) for step in text.steps)]
    yield from ((name, len(part)) for name, part in parts if len(part) > _LONGEST[name])


def _hard_to_read(text: Text, language: str) -> Iterator[str]:
    if language != SOURCE_LANGUAGE:
        return
    full, simple = readability.of_text(text)
    if full < readability.PLAIN:
        yield f"Gulpease {full:.0f}, wanted {readability.PLAIN}"
    if simple < readability.SIMPLE:
        yield f"Gulpease of the simpler words {simple:.0f}, wanted {readability.SIMPLE}"


def _unlike(text: Text, source: Text) -> Iterator[str]:
    for name in ("who", "cost", "hours"):
        if (getattr(text, name) is None) != (getattr(source, name) is None):
            yield name
    for name in ("bring", "steps"):
        if len(getattr(text, name)) != len(getattr(source, name)):
            yield name


def _unlike_in_size(text: Text, source: Text, language: str) -> Iterator[str]:
    """An amount or a time that fell out, a paragraph that was forgotten, a text of something else."""
    if differing := sorted(_large_numbers(text) ^ _large_numbers(source)):
        yield f"numbers that only this text or only the Italian has: {', '.join(map(str, differing))}"
    length, wanted = (sum(map(len, one.paragraphs())) for one in (text, source))
    share = length / wanted / _LENGTH.get(language, 1)
    if not _LEAST_LENGTH <= share <= _GREATEST_LENGTH:
        yield f"{length} characters where the Italian has {wanted}"


def _large_numbers(text: Text) -> set[int]:
    numbers = (int(number) for part in text.paragraphs() for number in _NUMBER.findall(part))
    return {number for number in numbers if number > _LAST_MONTH}


def _left_over(text: Text, other: Text) -> Iterator[str]:
    return iter(sorted(_sentences(text) & _sentences(other)))


def _sentences(text: Text) -> set[str]:
    split = (_WORD.findall(sentence) for part in text.paragraphs() for sentence in _SENTENCE_END.split(part))
    return {" ".join(words) for words in split if len(words) >= _LEFT_OVER}


def shared_questions(entries: list[Entry]) -> list[str]:
    """Questions of two entries in one language: whoever asks one would get the wrong card half of the time."""
    owner: dict[tuple[str, str], str] = {}
    problems = []
    for entry in entries:
        for language, text in entry.texts.items():
            for question in text.questions:
                key = language, re.sub(r"\W+", " ", question.lower()).strip()
                if owner.setdefault(key, entry.id) != entry.id:
                    problems.append(f"{entry.id} ({language}): also a question of {owner[key]}: {question}")
    return problems
