"""Import-only stand-ins for packages that Rasa imports on start and an intent classifier never calls.

Rasa 3.6 imports TensorFlow, nine chat platforms and seven stores and brokers before it parses its first word.
They are left out of the lock file (`override-dependencies` in pyproject.toml): 2.1 GB less on disk and
8 s less on every start. What remains are the import statements. Rasa's own code is not touched.

A stand-in lets a module be imported, a class be inherited from and a type be named in an annotation. To
call it or to make an instance of it is an error that names the package, so nothing is silently wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

# The top-level names of what pyproject.toml leaves out, as far as Rasa imports them unconditionally.
LEFT_OUT = (
    "aio_pika",
    "aiogram",
    "aiormq",
    "apscheduler",
    "boto3",
    "botocore",
    "confluent_kafka",
    "engineio",
    "fbmessenger",
    "google.auth",
    "google.oauth2",
    "keras",
    "matplotlib",
    "mattermostwrapper",
    "psycopg2",
    "pydot",
    "pymongo",
    "questionary",
    "prompt_toolkit",
    "randomname",
    "redis",
    "requests_toolbelt",
    "rocketchat_API",
    "sentry_sdk",
    "sklearn_crfsuite",
    "slack_sdk",
    "socketio",
    "structlog_sentry",
    "tensorflow",
    "tensorflow_hub",
    "tensorflow_text",
    "twilio",
    "webexteamssdk",
)
# Installed, because training needs it; a server only multiplies stored weights and starts 1.5 s sooner
# and 45 MB smaller without it.
NOT_FOR_SERVING = ("sklearn",)


class _AbsentType(type):
    """Makes `tf.keras.layers.Layer` and `Optional[tf.Tensor]` evaluate, and `tf.constant(1)` fail."""

    def __getattr__(cls, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return _absent_type(f"{cls.__qualname__}.{name}")

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(f"{cls.__qualname__} is not installed here; see nlu/absent.py")


def _absent_type(name: str) -> type:
    return _AbsentType(name, (), {})


class _AbsentModule(ModuleType):
    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return _absent_type(f"{self.__name__}.{name}")


class _AbsentFinder(MetaPathFinder, Loader):
    def __init__(self, packages: Sequence[str]) -> None:
        self._prefixes = tuple(f"{package}." for package in packages)

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if not f"{fullname}.".startswith(self._prefixes):
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _AbsentModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """A stand-in has no code."""


def stand_in(*, serving: bool) -> None:
    """Call once, before Rasa is imported.

    A package that is installed after all gets no stand-in, so the same code runs in a full Rasa
    environment. Only `NOT_FOR_SERVING` is hidden although it is there.
    """
    sys.meta_path.append(_AbsentFinder([package for package in LEFT_OUT if not _is_installed(package)]))
    if serving:
        sys.meta_path.insert(0, _AbsentFinder(NOT_FOR_SERVING))


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # the parent of a dotted name is missing
        return False
