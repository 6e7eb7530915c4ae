"""Measures the search: public collections in BEIR format, questions left out of the content, speed and memory."""

import gc
import json
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from knowledge_base.search import Band, Document, Index

DEPTH = 10
"""Ranks that are looked at for MRR."""


def evaluate_search(corpus: Path, queries: Path, qrels: Path, language: str) -> dict[str, Any]:
    """Rank a BEIR collection (Thakur et al. 2021): P@1, MRR@10, R@5 as shares, milliseconds a query, seconds to build.

    `corpus` and `queries` hold a JSON object a line ("_id", "text", "title"), `qrels` tab-separated
    query, document, score. Queries that no document is relevant to are left out.
    Raises ValueError when nothing is left, KeyError or json.JSONDecodeError on other formats.
    """
    documents = [
        Document(id=row["_id"], language=language, title=row.get("title") or "", body=row["text"])
        for row in _json_lines(corpus)
    ]
    relevant = _relevant(qrels)
    asked = [(row["text"], relevant[row["_id"]]) for row in _json_lines(queries) if row["_id"] in relevant]
    if not documents or not asked:
        raise ValueError("no query has a relevant document")
    started = time.perf_counter()
    index = Index.build(documents)
    built = time.perf_counter() - started
    ranks, milliseconds = _ranks(index, asked, language)
    return {
        "language": language,
        "documents": len(documents),
        "queries": len(asked),
        "p_at_1": round(float(np.mean([1 in found for found in ranks])), 4),
        "mrr_at_10": round(float(np.mean([1 / found[0] if found else 0.0 for found in ranks])), 4),
        "r_at_5": round(float(np.mean(list(map(_recall, ranks, (right for _, right in asked))))), 4),
        **_times(milliseconds),
        "build_seconds": round(built, 2),
    }


def _ranks(index: Index, asked: Sequence[tuple[str, set[str]]], language: str) -> tuple[list[list[int]], list[float]]:
    """Of each query the ranks of its relevant documents within `DEPTH`, and the milliseconds it took."""
    ranks: list[list[int]] = []
    milliseconds: list[float] = []
    for text, right in asked:
        started = time.perf_counter()
        hits = index.rank(text, language, limit=DEPTH)
        milliseconds.append((time.perf_counter() - started) * 1000)
        ranks.append([rank for rank, hit in enumerate(hits, 1) if hit.id in right])
    return ranks, milliseconds


def _recall(ranks: Sequence[int], right: set[str]) -> float:
    return sum(rank <= 5 for rank in ranks) / len(right)


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def _relevant(path: Path) -> dict[str, set[str]]:
    relevant: dict[str, set[str]] = {}
    with path.open(encoding="utf-8") as lines:
        next(lines, None)  # the header
        for line in lines:
            if line.strip():
                query, document, score = line.rstrip("\n").split("\t")
                if int(score) > 0:
                    relevant.setdefault(query, set()).add(document)
    return relevant


def _times(milliseconds: Sequence[float]) -> dict[str, float]:
    p50, p95 = np.quantile(milliseconds, [0.5, 0.95])
    return {"ms_p50": round(float(p50), 3), "ms_p95": round(float(p95), 3)}


def held_out(
    documents: Sequence[Document], outside: Mapping[str, Sequence[str]], *, parts: int = 5, take: int = 1
) -> dict[str, dict[str, float]]:
    """How the search does on questions it was not given, per language; each question is left out once.

    Each of `parts` is asked of an index built from the others, the first `take` parts only. Shares of the known
    questions: right first, right among three, sure, right and sure, unknown; right when sure; of the outside
    questions: not sure, unknown.
    """
    rows: dict[str, list[tuple[bool, bool, bool, Band]]] = {}
    for part in range(take):
        index = Index.build(
            [_with_questions(document, _split(document.questions, parts, part)[0]) for document in documents],
            {language: _split(questions, parts, part)[0] for language, questions in outside.items()},
        )
        for document in documents:
            for question in _split(document.questions, parts, part)[1]:
                rows.setdefault(document.language, []).append(_asked(index, question, document.language, document.id))
        for language in index.languages & outside.keys():
            for question in _split(outside[language], parts, part)[1]:
                rows.setdefault(language, []).append(_asked(index, question, language, None))
    return {language: _shares(some) for language, some in rows.items()}


def _split(questions: Sequence[str], parts: int, part: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Kept and left out."""
    order = list(questions)
    random.Random(0).shuffle(order)  # noqa: S311 - the same parts every time
    left_out = set(order[part::parts])
    return tuple(q for q in questions if q not in left_out), tuple(q for q in questions if q in left_out)


def _with_questions(document: Document, questions: tuple[str, ...]) -> Document:
    return Document(document.id, document.language, document.title, document.body, questions, document.places)


def _asked(index: Index, question: str, language: str, right: str | None) -> tuple[bool, bool, bool, Band]:
    ranked = [hit.id for hit in index.rank(question, language, limit=3)]
    return right is not None, ranked[:1] == [right], right in ranked, index.search(question, language).band


def _shares(rows: Sequence[tuple[bool, bool, bool, Band]]) -> dict[str, float]:
    known = [row for row in rows if row[0]]
    strange = [row for row in rows if not row[0]]
    sure = [row for row in known if row[3] is Band.SURE]
    return {
        "known": len(known),
        "first": _share(row[1] for row in known),
        "among_three": _share(row[2] for row in known),
        "sure": _share(row[3] is Band.SURE for row in known),
        "sure_and_right": _share(row[3] is Band.SURE and row[1] for row in known),
        "right_when_sure": _share(row[1] for row in sure),
        "known_as_unknown": _share(row[3] is Band.UNKNOWN for row in known),
        "outside": len(strange),
        "outside_not_sure": _share(row[3] is not Band.SURE for row in strange),
        "outside_unknown": _share(row[3] is Band.UNKNOWN for row in strange),
    }


def _share(answers: Iterable[bool]) -> float:
    found = list(answers)
    return round(sum(found) / len(found), 4) if found else float("nan")


def bench_search(entries: int) -> dict[str, Any]:
    """Build, time and memory for `entries` made-up entries of one language with five questions each."""
    draw = random.Random(0)  # noqa: S311 - made-up texts, the same every time
    documents = _made_up(entries, draw)
    asked = [_question(draw.choice(documents).body.split(), draw) for _ in range(1000)]
    gc.collect()
    process = psutil.Process()
    before = process.memory_info().rss
    started = time.perf_counter()
    index = Index.build(documents, {"it": asked[:100]})
    built = time.perf_counter() - started
    gc.collect()
    grown = process.memory_info().rss - before
    milliseconds = []
    for question in asked:
        started = time.perf_counter()
        index.search(question, "it")
        milliseconds.append((time.perf_counter() - started) * 1000)
    return {
        "entries": entries,
        "questions": entries * 5,
        "build_seconds": round(built, 2),
        "memory_growth_mb": round(grown / 2**20),
        **_times(milliseconds),
    }


def _made_up(entries: int, draw: random.Random) -> list[Document]:
    """Entries of about ninety words whose frequencies fall like those of a language (Zipf)."""
    vocabulary = [_word(draw) for _ in range(30_000)]
    weights = [1 / rank for rank in range(1, len(vocabulary) + 1)]
    documents = []
    for number in range(entries):
        body = draw.choices(vocabulary, weights, k=90)
        sentences = [" ".join(body[start : start + 15]) for start in range(0, len(body), 15)]
        questions = tuple(_question(body, draw) for _ in range(5))
        documents.append(Document(f"entry-{number}", "it", " ".join(body[:5]), ". ".join(sentences), questions))
    return documents


def _word(draw: random.Random) -> str:
    return "".join(draw.choice("bcdfglmnprstv") + draw.choice("aeiou") for _ in range(draw.choice((1, 2, 3, 3, 4, 5))))


def _question(words: Sequence[str], draw: random.Random) -> str:
    return " ".join(draw.sample(list(words), 8))
