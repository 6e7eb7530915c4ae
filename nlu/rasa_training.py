"""Runs Rasa's own training without its telemetry, its cache on disk and its chatter."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, NoReturn

import absent
from training_files import HERE, TrainingError


def prepare_rasa(*, serving: bool) -> None:
    """Call before the first import of Rasa in a process."""
    os.environ["RASA_TELEMETRY_ENABLED"] = "false"
    os.environ.setdefault("SQLALCHEMY_SILENCE_UBER_WARNING", "1")
    # Libraries set their own filters; and Rasa warns with the message text that it could not parse.
    warnings.showwarning = _show_nothing
    if str(HERE) not in sys.path:
        sys.path.insert(0, str(HERE))
    absent.stand_in(serving=serving)


def _show_nothing(*arguments: object, **named: object) -> None:
    """Takes the place of the function that prints a warning."""


def silence_structlog() -> None:
    """Rasa writes message texts into structured events; none of them ever reaches a log."""
    import structlog

    def drop(logger: Any, name: str, event: MutableMapping[str, Any]) -> NoReturn:
        raise structlog.DropEvent

    structlog.configure(processors=[drop])


def train_rasa(config: Path, domain: Path, data: Path, folder: Path, name: str) -> Path:
    """Trains on the files in `data`, writes `folder/name`; raises TrainingError."""
    # Rasa would keep a cache of every training in the working directory.
    os.environ["RASA_MAX_CACHE_SIZE"] = "0"
    os.environ["RASA_CACHE_DIRECTORY"] = str(folder / "cache")
    logging.disable(logging.CRITICAL)
    import rasa.constants

    # Even with telemetry off Rasa makes up an id for the user and writes it into the home folder.
    rasa.constants.GLOBAL_USER_CONFIG_PATH = str(folder / "global.yml")
    silence_structlog()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            path = _run_rasa(config, domain, data, folder, name)
    except Exception as error:  # whatever Rasa raises on bad data becomes one line for the caller
        raise TrainingError(_one_line(error)) from error
    if path is None:
        raise TrainingError("there are no training phrases in the data")
    return Path(path)


def _run_rasa(config: Path, domain: Path, data: Path, folder: Path, name: str) -> str | None:
    """What `rasa train nlu` calls.

    Its public wrapper copies all phrases six times for stories and responses that do not exist here, and
    looks for changes that train.py has already found.
    """
    from rasa.model_training import _train_graph
    from rasa.shared.data import TrainingType

    from phrases_importer import PhrasesImporter

    return _train_graph(
        PhrasesImporter(str(config), str(domain), [str(data)]),
        training_type=TrainingType.NLU,
        output_path=str(folder),
        fixed_model_name=name,
        force_full_training=True,
    ).model


def _one_line(error: BaseException) -> str:
    # Rasa wraps the reason of a failed component in an error of its own that says nothing.
    reason = error.__cause__ or error
    return " ".join(f"{type(reason).__name__}: {reason}".split())[:500]
