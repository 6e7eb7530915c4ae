"""Measures the language detector on a file of `language<TAB>text` lines."""

import time
from collections import Counter
from pathlib import Path
from typing import Any

from bot.language import detect


def evaluate_language(file: Path) -> dict[str, Any]:
    """Accuracy in all and per language (percent), the commonest confusions, milliseconds a text."""
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    confused: Counter[tuple[str, str]] = Counter()
    started = time.perf_counter()
    for line in file.read_text(encoding="utf-8").splitlines():
        expected, tab, text = line.partition("\t")
        if not tab:
            continue
        found = detect(text)
        total[expected] += 1
        if found is not None and found[0] == expected:
            right[expected] += 1
        else:
            confused[expected, found[0] if found else "none"] += 1
    texts = sum(total.values())
    return {
        "texts": texts,
        "accuracy": _percent(sum(right.values()), texts),
        "languages": {code: _percent(right[code], count) for code, count in sorted(total.items())},
        "confusions": [f"{wanted}→{got}: {count}" for (wanted, got), count in confused.most_common(10)],
        "ms_per_text": round((time.perf_counter() - started) * 1000 / max(texts, 1), 3),
    }


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1) if whole else 0.0
