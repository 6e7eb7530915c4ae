"""Entries and the index over them, replaced together so that both always say the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from knowledge_base.entry import Entry
from knowledge_base.search import Document, Index


@dataclass(frozen=True)
class Library:
    entries: Mapping[str, Entry]
    index: Index
    languages: frozenset[str]
    """Languages with texts of their own."""

    @classmethod
    def build(cls, entries: Sequence[Entry], outside: Mapping[str, Sequence[str]]) -> "Library":
        """Entries nobody should see are kept for reference and never found."""
        documents = [document for entry in entries if entry.shown for document in documents_of(entry)]
        return cls(
            entries={entry.id: entry for entry in entries},
            index=Index.build(documents, outside),
            languages=frozenset(document.language for document in documents),
        )

    def find(self, entry_id: str) -> Entry | None:
        return self.entries.get(entry_id)

    @cached_property
    def by_category(self) -> Mapping[str, tuple[Entry, ...]]:
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
        for language, text in entry.texts.items()
    ]
