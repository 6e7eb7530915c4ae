"""Machine translation by the Argos packages installed on this machine, and the guard over what comes out of them.

Numbers, times, links, codes and names are taken out before the model sees a text and put back after it; what a model is
known to do wrong is named, so that whoever asked can show the original instead (decision 15).
"""

import asyncio
import json
import logging
import os
import re
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import ModuleType

from bot.locked_facts import INVENTED, MARKS, STAND_IN, Facts, bring_back, hide

log = logging.getLogger(__name__)

Model = Callable[[list[str]], list[str]]
"""Sentences in one language to as many sentences in another."""
PROBLEMS = ("facts_changed", "repeated", "echo", "length", "empty", "script", "unknown")
LONGEST = 20_000
"""Characters; a longer text is not translated."""
_PIVOTS = ("en", "it")
_BATCH = 8
_LONGEST_SENTENCE = 300

# --- sentences ---

_LINES = re.compile("(\r\n|[\n\r\t\v\f\x1c-\x1e\x85\u2028\u2029])")
_EMOJI = "[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff]"
_APART = re.compile(f"([{MARKS}]+|{_EMOJI}(?:{_EMOJI}|[\ufe0f\u200d])*)")
"""Direction marks and pictures: the model never sees them, and they stay where they are."""
_END = re.compile(
    r"(?:(?<![.!?…])[.!?…]+[\"'»”’)\]]{0,3}(?=\s)|(?<![。！？])[。！？]+[」』”’）]{0,3}|(?<![؟۔।॥])[؟۔।॥]+[\"»”’)]{0,3})\s*"
)
_ABBREVIATED = re.compile(
    r"(?:^|[^\w])(?:\w|dott|sig|sigg|prof|avv|tel|cell|art|ecc|pag|nr|num|str|es|mr|mrs|ms|dr|st|no|etc|mme|sr|sra|nº|ул|стр|"
    r"тел|г|im|ing|geom|fig|cap|loc|fraz)\.\s*$",
    re.IGNORECASE,
)
_PAUSE = re.compile(r"[,;:،؛，；、]\s*|\s+")
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]+")
_AGAIN = re.compile(r"((?=[^\n]{0,40}[^\W\d_])[^\n]{1,40}?)\1{4,}")
_SCRIPTS = {
    "ar": "\u0600-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufeff",
    "ru": "\u0400-\u052f",
    "bn": "\u0980-\u09ff",
    "zh": "\u3400-\u9fff",
}
_SCRIPT_OF = {"ar": "ar", "fa": "ar", "ur": "ar", "ru": "ru", "uk": "ru", "bn": "bn", "zh": "zh", "zt": "zh"}
_WEIGHT = {"zh": 3.0, "ar": 1.25}
"""Roughly how many letters of an alphabet one letter of the script is worth."""


@dataclass(frozen=True, slots=True)
class Translation:
    text: str
    problems: tuple[str, ...] = ()
    """Of `PROBLEMS`; none: fit to send."""


class _GivenUpError(Exception):
    """Nobody waits for this translation any more."""


def split_sentences(line: str) -> Iterator[str]:
    """Pieces that together are the line, each a sentence with the blanks after it."""
    start = 0
    for end in _END.finditer(line):
        following = line[end.end() : end.end() + 1]
        if "." in end[0] and (
            following.islower() or _ABBREVIATED.search(line[max(start, end.start() - 12) : end.end()])
        ):
            continue
        yield from _short_enough(line[start : end.end()])
        start = end.end()
    yield from _short_enough(line[start:])


def _short_enough(sentence: str) -> Iterator[str]:
    """A model cuts off what is too long for it, so what has no full stop is parted at commas, at worst at blanks."""
    while len(sentence) > _LONGEST_SENTENCE:
        pauses = [found.end() for found in _PAUSE.finditer(sentence[:_LONGEST_SENTENCE]) if found.end() > 100]
        commas = [end for end in pauses if not sentence[:end].rstrip()[-1:].isalnum()]
        cut = (commas or pauses or [_LONGEST_SENTENCE])[-1]
        yield sentence[:cut]
        sentence = sentence[cut:]
    if sentence:
        yield sentence


def _parts(text: str) -> Iterator[tuple[str, bool]]:
    """Pieces that together are the text, and whether each is for the model."""
    for line in _LINES.split(text):
        for part in _APART.split(line):
            for sentence in split_sentences(part):
                body = sentence.strip()
                start = sentence.find(body)
                yield sentence[:start], False
                yield body, _LETTER.search(body) is not None
                yield sentence[start + len(body) :], False


def translate_text(
    text: str, models: Sequence[Model], *, source: str, target: str, keep: Iterable[str] = ()
) -> Translation:
    """Through one model, or two with a language between. Raises what a model raises."""
    facts = Facts(keep)
    frozen = facts.freeze(text)
    parts = [part for part in _parts(frozen) if part[0]]
    bodies = [body for body, for_model in parts if for_model]
    answers = _translate_all(bodies, models, facts)
    left = iter(answers)
    pieces: list[str] = []
    after_sentence = False
    for piece, for_model in parts:
        if for_model and after_sentence and target not in ("zh", "zt"):
            pieces.append(" ")  # Chinese puts no space between sentences
        pieces.append(next(left) if for_model else piece)
        after_sentence = for_model
    result = "".join(pieces)
    return Translation(facts.thaw(result), tuple(_problems(frozen, result, bodies, answers, (source, target))))


def _translate_all(bodies: list[str], models: Sequence[Model], facts: Facts) -> list[str]:
    hidden = [hide(body, facts) for body in bodies]
    answers = iter(_run(models, [one[0] for one in hidden if one is not None]))
    results: list[str] = []
    for body, one in zip(bodies, hidden, strict=True):
        whole = None if one is None else bring_back(next(answers), one[1])
        results.append(_around_facts(body, models) if whole is None else whole)
    return results


def _around_facts(body: str, models: Sequence[Model]) -> str:
    """For a model that lost or changed a number: only what stands between the facts. Clumsier, but they are right."""
    pieces = re.split(f"({STAND_IN.pattern})", body)
    wanted = [piece.strip() for piece in pieces if _LETTER.search(piece)]
    answers = iter(_run(models, wanted))
    return "".join(_fit(piece, next(answers)) if _LETTER.search(piece) else piece for piece in pieces)


def _fit(piece: str, answer: str) -> str:
    """The end of a fragment made like the fragment's: models close and capitalise everything as a sentence."""
    body = piece.strip()
    start = piece.find(body)
    if body[-1].isalnum():
        answer = answer.rstrip(" .!?…。！？؟۔।")
    if body[0].islower() and answer[1:2].islower():
        answer = answer[0].lower() + answer[1:]
    return piece[:start] + answer + piece[start + len(body) :]


def _run(models: Sequence[Model], sentences: list[str]) -> list[str]:
    for model in models:
        batches = [sentences[start : start + _BATCH] for start in range(0, len(sentences), _BATCH)]
        sentences = [_one_line(answer) for batch in batches for answer in model(batch)]
    return sentences


def _one_line(answer: str) -> str:
    return STAND_IN.sub("", _LINES.sub(" ", answer)).strip()


# --- what can be wrong ---


def _problems(
    frozen: str, result: str, bodies: list[str], answers: list[str], languages: tuple[str, str]
) -> Iterator[str]:
    if Counter(STAND_IN.findall(frozen)) != Counter(STAND_IN.findall(result)) or INVENTED.search(result):
        yield "facts_changed"
    if any(_repeats(answer) and not _repeats(body) for body, answer in zip(bodies, answers, strict=True)):
        yield "repeated"
    if any(_echoes(body, answer, 6) for body, answer in zip(bodies, answers, strict=True)) or _echoes(
        frozen, result, 3
    ):
        yield "echo"
    sizes = [_size(text, language) for text, language in zip((frozen, result), languages, strict=True)]
    if max(sizes) + 10 > 2.5 * (min(sizes) + 10):
        yield "length"
    if any(_LETTER.search(answer) is None for answer in answers):
        yield "empty"
    if _foreign(result, languages[1]):
        yield "script"
    if "⁇" in result and "⁇" not in frozen:
        yield "unknown"


def _repeats(text: str) -> bool:
    """Five times the same in a row, or one word for more than a third of a long sentence."""
    words = _WORD.findall(text.casefold())
    most = Counter(words).most_common(1)
    much = len(words) >= 15 and most[0][1] * 3 > len(words)
    return much or _AGAIN.search(f"{text.casefold()} ") is not None


def _echoes(source: str, target: str, words: int) -> bool:
    """Whether more than so many different words came back as they were. Without spaces, two letters count as a word."""
    before = _WORD.findall(source.casefold())
    length = sum(max(1, len(word) // 2) if word[0] >= "\u2e80" else 1 for word in set(before))
    return length > words and before == _WORD.findall(target.casefold())


def _size(text: str, language: str) -> float:
    return len(_LETTER.findall(text)) * _WEIGHT.get(_SCRIPT_OF.get(language, ""), 1.0)


def _foreign(text: str, language: str) -> bool:
    """Whether most of a text of some length is not in the script of its language."""
    letters = "".join(_LETTER.findall(text))
    if len(letters) < 12:
        return False
    script = _SCRIPT_OF.get(language)
    own = f"[{_SCRIPTS[script]}]" if script else f"[^{''.join(_SCRIPTS.values())}]"
    return len(re.findall(own, letters)) * 2 < len(letters)


# --- packages ---


def read_pair(package: Path) -> tuple[str, str]:
    """From which language to which an unpacked Argos package translates. Raises OSError and ValueError."""
    metadata = json.loads((package / "metadata.json").read_text(encoding="utf-8"))
    if not isinstance(metadata, dict) or metadata.get("type", "translate") != "translate":
        raise ValueError("not a package that translates")
    codes = (metadata.get("from_code"), metadata.get("to_code"))
    if not all(isinstance(code, str) and re.fullmatch(r"[a-z]{2,3}(?:[-_][A-Za-z]{2,4})?", code) for code in codes):
        raise ValueError("no pair of language codes")
    if not (package / "model" / "model.bin").is_file():
        raise ValueError("no model")
    if not any((package / name).is_file() for name in ("sentencepiece.model", "bpe.model")):
        raise ValueError("no tokenizer")
    return str(codes[0]), str(codes[1])


def find_packages(folder: Path) -> dict[tuple[str, str], Path]:
    """By pair. A folder that holds no usable package is passed over."""
    found = {}
    for package in sorted(folder.iterdir()) if folder.is_dir() else ():
        if package.is_dir() and not package.name.startswith("."):
            try:
                found[read_pair(package)] = package
            except (OSError, ValueError, RecursionError) as error:
                log.warning("translation package %s cannot be used: %s", package.name, type(error).__name__)
    return found


@cache
def argos() -> ModuleType:
    """`argostranslate.package`. Its `translate` is left alone: it needs stanza, and logs every sentence.

    Importing it makes folders in the home, so it is shown a home that is gone afterwards.
    """
    names = ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "ARGOS_PACKAGES_DIR")
    before = {name: os.environ.get(name) for name in names}
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(dict.fromkeys(names, home))
        try:
            import argostranslate.package
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
    return argostranslate.package  # type: ignore[no-any-return]  # the library has no types


def load_model(path: Path) -> Model:
    """A package in memory. Raises whatever the libraries raise on files they cannot use."""
    import ctranslate2

    package, settings = argos().Package(path), argos().settings
    translator = ctranslate2.Translator(
        str(path / "model"),
        device=settings.device,
        compute_type=settings.compute_type,
        intra_threads=settings.intra_threads or max(1, min(4, (os.cpu_count() or 1) // 2)),
    )

    def model(sentences: list[str]) -> list[str]:
        tokens = [package.tokenizer.encode(sentence) for sentence in sentences]
        results = translator.translate_batch(  # as argostranslate.translate does it
            tokens,
            target_prefix=[[package.target_prefix]] * len(tokens) if package.target_prefix else None,
            replace_unknowns=True,
            beam_size=settings.beam_size,
            length_penalty=0.2,
            max_decoding_length=2 * max(map(len, tokens), default=0) + 30,  # one that never ends takes seconds
        )
        answers = [package.tokenizer.decode(result.hypotheses[0]) for result in results]
        return [answer.removeprefix(package.target_prefix).strip() for answer in answers]

    return model


class Translator:
    """One per process; keeps the models it used last. One text at a time: a second would only slow the first."""

    def __init__(self, folder: Path, *, time_limit_s: float = 20.0, most_loaded: int = 4) -> None:
        self._folder, self._limit, self._most = folder, time_limit_s, most_loaded
        self._seen: tuple[int, dict[tuple[str, str], Path]] = (-1, {})
        self._loaded: dict[tuple[Path, int], Model] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="translation")

    def pairs(self) -> frozenset[tuple[str, str]]:
        return frozenset(self._packages())

    def can(self, source: str, target: str) -> bool:
        return bool(self._route(source, target))

    async def translate(self, text: str, source: str, target: str, *, keep: Iterable[str] = ()) -> Translation | None:
        """None without a model, after the time limit, and when the model fails. Never raises."""
        given_up = threading.Event()
        try:
            if len(text) > LONGEST or not (route := self._route(source, target)):
                return None
            models = [self._checked(path, given_up) for path in route]
            work = partial(translate_text, text, models, source=source, target=target, keep=tuple(keep))
            return await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(self._thread, work), self._limit)
        except Exception as error:  # whatever a library raises: the text is shown untranslated
            log.warning("no translation from %s to %s: %s", source, target, type(error).__name__)
            return None
        finally:
            given_up.set()

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _packages(self) -> dict[tuple[str, str], Path]:
        """What is installed now: an installation is seen without a restart."""
        try:
            changed = self._folder.stat().st_mtime_ns
        except OSError:
            return {}
        if self._seen[0] != changed:
            self._seen = (changed, find_packages(self._folder))
        return self._seen[1]

    def _route(self, source: str, target: str) -> list[Path]:
        packages = self._packages()
        if (source, target) in packages:
            return [packages[source, target]]
        for middle in _PIVOTS:
            if source != target and (source, middle) in packages and (middle, target) in packages:
                return [packages[source, middle], packages[middle, target]]
        return []

    def _checked(self, path: Path, given_up: threading.Event) -> Model:
        """Loaded when it is first called, in the thread."""

        def model(sentences: list[str]) -> list[str]:
            if given_up.is_set():
                raise _GivenUpError
            return self._model(path)(sentences)

        return model

    def _model(self, path: Path) -> Model:
        key = (path, (path / "metadata.json").stat().st_mtime_ns)
        model = self._loaded.pop(key, None)
        if model is None:
            while len(self._loaded) >= self._most:
                del self._loaded[next(iter(self._loaded))]
            model = load_model(path)
        self._loaded[key] = model
        return model
