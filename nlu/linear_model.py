"""A trained linear model over n-grams: load it, rank the intents of a text. NumPy only."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ngrams import blocks

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class LinearModel:
    """`weights` has a row a feature and a column an intent; `temperature` turns margins into chances."""

    intents: list[str]
    positions: dict[str, int]
    rarity: Floats
    weights: Floats
    offsets: Floats
    temperature: float

    def rank(self, text: str) -> list[tuple[str, float]]:
        """Intents with their chances, best first; empty when no part of the text was ever seen."""
        rows, values = weigh(blocks(text), self.positions, self.rarity)
        if not rows:
            return []
        margins = np.asarray(values, dtype=np.float32) @ self.weights[rows] + self.offsets
        scaled = margins.astype(np.float64) / self.temperature
        chances = np.exp(scaled - scaled.max())
        chances /= chances.sum()
        return [(self.intents[at], float(chances[at])) for at in np.argsort(-chances)]

    def save(self, directory: Path) -> None:
        # A feature never contains a line break: words are split at white space.
        (directory / "features.txt").write_text("\n".join(self.positions), encoding="utf-8")
        (directory / "intents.txt").write_text("\n".join(self.intents), encoding="utf-8")
        np.savez(
            directory / "numbers.npz",
            rarity=self.rarity,
            weights=self.weights,
            offsets=self.offsets,
            temperature=np.asarray(self.temperature),
        )

    @classmethod
    def load(cls, directory: Path) -> LinearModel:
        features = (directory / "features.txt").read_text(encoding="utf-8").split("\n")
        with np.load(directory / "numbers.npz", allow_pickle=False) as numbers:
            return cls(
                intents=(directory / "intents.txt").read_text(encoding="utf-8").split("\n"),
                positions={feature: row for row, feature in enumerate(features)},
                rarity=numbers["rarity"],
                weights=numbers["weights"],
                offsets=numbers["offsets"],
                temperature=float(numbers["temperature"]),
            )


def weigh(
    feature_blocks: tuple[list[str], ...], positions: dict[str, int], rarity: Floats
) -> tuple[list[int], list[float]]:
    """TF-IDF with sublinear term frequency, every block scaled to length 1.

    Features never seen in training count in the length, as the rarest ones do: of a text in a language
    the model does not know, little weight is left, and no intent looks certain.
    """
    rarest = float(rarity.max(initial=1.0))
    rows: list[int] = []
    values: list[float] = []
    for features in feature_blocks:
        weights = {
            feature: (1 + math.log(count)) * (float(rarity[row]) if row is not None else rarest)
            for feature, count in Counter(features).items()
            for row in (positions.get(feature),)
        }
        length = math.sqrt(sum(weight * weight for weight in weights.values())) or 1.0
        known = [feature for feature in weights if feature in positions]
        rows.extend(positions[feature] for feature in known)
        values.extend(weights[feature] / length for feature in known)
    return rows, values
