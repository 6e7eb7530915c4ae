"""The intent classifier as a Rasa component: TF-IDF of n-grams into a linear support vector machine.

Trained with scikit-learn, stored as text and plain arrays (no pickle: loading a model runs no code), and
served with NumPy alone.
"""

from __future__ import annotations

from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.classifiers.classifier import IntentClassifier
from rasa.shared.nlu.constants import INTENT, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from linear_model import LinearModel


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class NgramIntentClassifier(IntentClassifier, GraphComponent):
    """Sets `intent` and `intent_ranking`; a text of which no part is known has no intent at all."""

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        return {
            # cost of a training phrase on the wrong side of the margin
            "C": 1.0,
            # 0: every phrase counts the same, 1: every intent counts the same
            "balance": 0.5,
            # features kept, by the number of phrases they occur in
            "max_features": 200_000,
            "ranking_length": 5,
        }

    def __init__(
        self,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        model: LinearModel | None = None,
    ) -> None:
        self._config = {**self.get_default_config(), **config}
        self._model_storage = model_storage
        self._resource = resource
        self._model = model

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> NgramIntentClassifier:
        return cls(config, model_storage, resource)

    def train(self, training_data: TrainingData) -> Resource:
        from linear_model_training import fit

        examples = [e for e in training_data.intent_examples if e.get(TEXT) and e.get(INTENT)]
        self._model = fit(
            [str(e.get(TEXT)) for e in examples],
            [str(e.get(INTENT)) for e in examples],
            cost=float(self._config["C"]),
            balance=float(self._config["balance"]),
            max_features=int(self._config["max_features"]),
        )
        with self._model_storage.write_to(self._resource) as directory:
            self._model.save(directory)
        return self._resource

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> NgramIntentClassifier:
        with model_storage.read_from(resource) as directory:
            return cls(config, model_storage, resource, LinearModel.load(directory))

    def process(self, messages: list[Message]) -> list[Message]:
        for message in messages:
            ranking = self._ranking(message.get(TEXT) or "")
            best = ranking[0] if ranking else {"name": None, "confidence": 0.0}
            message.set("intent", best, add_to_output=True)
            message.set("intent_ranking", ranking, add_to_output=True)
        return messages

    def _ranking(self, text: str) -> list[dict[str, Any]]:
        if self._model is None:
            return []
        ranked = self._model.rank(text)[: int(self._config["ranking_length"])]
        return [{"name": name, "confidence": confidence} for name, confidence in ranked]

    def process_training_data(self, training_data: TrainingData) -> TrainingData:
        """Nothing later in the pipeline reads the intents of the training phrases."""
        return training_data
