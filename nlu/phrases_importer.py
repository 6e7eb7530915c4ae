"""Reads the phrases once a training; Rasa's own importer reads all files at every call."""

from __future__ import annotations

from typing import Any

from rasa.shared.importers.rasa import RasaFileImporter
from rasa.shared.nlu.training_data.training_data import TrainingData


class PhrasesImporter(RasaFileImporter):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._phrases: TrainingData | None = None

    def get_nlu_data(self, language: str | None = "en") -> TrainingData:
        """The language makes no difference: one model reads them all."""
        if self._phrases is None:
            self._phrases = super().get_nlu_data(language)
        return self._phrases
