"""Entries and the index over them, replaced together so that both always say the same."""

import hashlib
import logging
import os
import pickle
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from knowledge_base.entry import Entry
from knowledge_base.search import Document, Index

log = logging.getLogger(__name__)

_KEPT_FILES = 2
"""Index files in the cache: the one in use, and the one before it for a process that is just starting."""


@dataclass(frozen=True)
class Library:
    entries: Mapping[str, Entry]
    index: Index
    languages: frozenset[str]
    """Languages with texts of their own."""

    @classmethod
    def build(
        cls, entries: Sequence[Entry], outside: Mapping[str, Sequence[str]], *, cache: Path | None = None
    ) -> "Library":
        """Entries nobody should see are kept for reference and never found.

        Training takes seconds; with `cache`, a folder of our own that nobody else may write to, the same content is
        trained once for all processes and starts.
        """
        documents = [document for entry in entries if entry.shown for document in documents_of(entry)]
        # In one order wherever they come from, so that files and database make the same index.
        outside = {code: sorted(set(lines)) for code, lines in sorted(outside.items())}
        return cls(
            entries={entry.id: entry for entry in entries},
            index=_cached(documents, outside, cache) if cache else Index.build(documents, outside),
            languages=frozenset(document.language for document in documents),
        )

    # What a dialogue asks (`bot.dialogue.Actions`).

    def find_entry(self, entry_id: str) -> Entry | None:
        return self.entries.get(entry_id)

    def entries_about(self, category: str) -> tuple[Entry, ...]:
        return self._by_category.get(category, ())

    def desks(self) -> tuple[Entry, ...]:
        """The entries that others, or they themselves, name as the desk where one is received."""
        return self._desks

    @cached_property
    def _desks(self) -> tuple[Entry, ...]:
        named = {entry.facts.booking_desk for entry in self.entries.values()}
        return tuple(entry for entry in self.entries.values() if entry.shown and entry.id in named)

    @cached_property
    def _by_category(self) -> Mapping[str, tuple[Entry, ...]]:
        groups: dict[str, list[Entry]] = {}
        for entry in self.entries.values():
            if entry.shown:
                groups.setdefault(entry.category, []).append(entry)
        return {category: tuple(group) for category, group in groups.items()}


def documents_of(entry: Entry) -> list[Document]:
    """What the index reads of an entry: one document a language."""
    return [
        Document(
            id=entry.id,
            language=language,
            title=text.title,
            body="\n".join((*text.paragraphs(), entry.record.name_it, entry.record.organization or "")),
            questions=text.questions,
            places=frozenset(entry.facts.area),
        )
        for language, text in sorted(entry.texts.items())
    ]


def _cached(documents: Sequence[Document], outside: Mapping[str, Sequence[str]], folder: Path) -> Index:
    path = folder / f"{_fingerprint(documents, outside)}.pickle"
    try:
        index = pickle.loads(path.read_bytes())  # noqa: S301 - our own file, in a folder only we can write to
        if isinstance(index, Index):
            return index
    except FileNotFoundError:
        pass
    except Exception as error:  # a torn or foreign file can fail in any way; building again always works
        log.warning("the index file cannot be used (%s), building again", type(error).__name__)
    index = Index.build(documents, outside)
    try:
        _keep(index, path)
    except OSError as error:
        log.warning("the index could not be kept for the next start (%s)", type(error).__name__)
    return index


def _keep(index: Index, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".new", delete=False) as file:
        pickle.dump(index, file, protocol=pickle.HIGHEST_PROTOCOL)
    os.replace(file.name, path)
    files = sorted(path.parent.glob("*.pickle"), key=lambda one: one.stat().st_mtime, reverse=True)
    for old in files[_KEPT_FILES:]:
        old.unlink(missing_ok=True)


def _fingerprint(documents: Iterable[Document], outside: Mapping[str, Sequence[str]]) -> str:
    """Of all that the index is made from: content, our own code, the libraries that train it."""
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    for name in ("numpy", "scipy", "snowballstemmer"):
        digest.update(version(name).encode())
    for document in documents:
        digest.update(repr((document.id, document.language, document.title, document.body)).encode())
        digest.update(repr((document.questions, sorted(document.places))).encode())
    digest.update(repr(sorted((code, tuple(lines)) for code, lines in outside.items())).encode())
    return digest.hexdigest()[:32]
