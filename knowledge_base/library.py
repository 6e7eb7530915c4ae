"""Entries and the index over them, replaced together so that both always say the same."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from knowledge_base.entry import Entry
from knowledge_base.kept import kept
from knowledge_base.search import Document, Index


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

    # What a dialogue asks (`bot.actions.Actions`).

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
    return kept(folder, "index", _fingerprint(documents, outside), Index, lambda: Index.build(documents, outside))


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
