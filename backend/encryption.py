"""What people write is encrypted in the database with keys held outside it (Fernet: AES-128-CBC with HMAC-SHA256).

The keys come from `ELP_SECRET_KEYS` or, on one machine, from the file `secret-keys` in the data folder. The first one
encrypts; all of them decrypt, so that keys can be changed while people write (`elp keys rotate`).
"""

import base64
import json
import os
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import Dialect, LargeBinary
from sqlalchemy.types import TypeDecorator

from backend.config import Settings, split_keys
from backend.errors import AppError

KEY_FILE = "secret-keys"
VERSION_BYTE = 0x80
"""First byte of every Fernet token; the tables check it, so that no plain text gets past the code."""


class KeysError(AppError):
    """There are no keys, or not those the database was written with; a sentence for whoever starts the program."""

    status = 503
    code = "unavailable"

    def __init__(self, sentence: str) -> None:
        super().__init__()
        self.sentence = sentence

    def __str__(self) -> str:
        return self.sentence


def new_key() -> str:
    return Fernet.generate_key().decode()


class Cipher:
    """Seals and opens values. With a file of keys it notices when the file changes: a running process follows."""

    def __init__(self, keys: list[str], *, file: Path | None = None) -> None:
        self._file = file
        self._seen = file.stat().st_mtime_ns if file else 0
        self._use(keys)

    def _use(self, keys: list[str]) -> None:
        fernets = [Fernet(key) for key in keys]
        self._first, self._all = fernets[0], MultiFernet(fernets)

    def _refresh(self) -> None:
        if self._file is None:
            return
        try:
            changed = self._file.stat().st_mtime_ns
            if changed != self._seen:
                self._use(split_keys(self._file.read_text(encoding="ascii")))
                self._seen = changed
        except (OSError, ValueError):
            return  # the keys at hand go on working; a start with a broken file is refused

    def seal(self, value: bytes) -> bytes:
        """A Fernet token without its base64, which would take a third more room."""
        self._refresh()
        return base64.urlsafe_b64decode(self._first.encrypt(value))

    def open(self, sealed: bytes) -> bytes:
        """Raises KeysError when no key fits."""
        self._refresh()
        try:
            return self._all.decrypt(base64.urlsafe_b64encode(sealed))
        except InvalidToken as error:
            raise KeysError("Something in the database was encrypted with a key that is not among these.") from error

    def renew(self, sealed: bytes) -> bytes | None:
        """The same value under the first key; None when it is under it already. Raises KeysError."""
        self._refresh()
        try:
            self._first.decrypt(base64.urlsafe_b64encode(sealed))
        except InvalidToken:
            return self.seal(self.open(sealed))
        return None


def key_file(settings: Settings) -> Path:
    return settings.data_dir / KEY_FILE


def write_keys(path: Path, keys: list[str]) -> None:
    """Readable by its owner alone, and never half-written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write("\n".join(keys) + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def open_cipher(settings: Settings, *, create: bool = False) -> Cipher:
    """Raises KeysError. With `create` a machine without keys gets its own, in a file beside the database."""
    if settings.secret_keys is not None:
        return Cipher(split_keys(settings.secret_keys.get_secret_value()))
    path = key_file(settings)
    try:
        if create and not path.exists():
            write_keys(path, [new_key()])
        return Cipher(split_keys(path.read_text(encoding="ascii")), file=path)
    except FileNotFoundError as error:
        raise KeysError(f"ELP_SECRET_KEYS is not set and there is no {path}. Make a key with: elp keys new") from error
    except (OSError, ValueError) as error:
        raise KeysError(f"{path} cannot be used: {error}") from error


_current: Cipher | None = None


def use_cipher(cipher: Cipher) -> None:
    """For this whole process: the types below find it here, because SQLAlchemy gives a type nothing but the value."""
    global _current  # noqa: PLW0603 - set once, when a process starts
    _current = cipher


def cipher() -> Cipher:
    if _current is None:
        raise KeysError("The keys were not opened.")
    return _current


__all__ = [
    "KEY_FILE",
    "VERSION_BYTE",
    "Cipher",
    "EncryptedBytes",
    "EncryptedJSON",
    "EncryptedText",
    "KeysError",
    "cipher",
    "key_file",
    "new_key",
    "open_cipher",
    "split_keys",
    "use_cipher",
    "write_keys",
]


class EncryptedBytes(TypeDecorator[bytes]):
    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        return None if value is None else cipher().seal(value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        return None if value is None else cipher().open(bytes(value))


class EncryptedText(TypeDecorator[str]):
    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        return None if value is None else cipher().seal(value.encode())

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        return None if value is None else cipher().open(bytes(value)).decode()


class EncryptedJSON(TypeDecorator[Any]):
    """NULL is read as an empty object."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> bytes | None:
        return cipher().seal(json.dumps(value, ensure_ascii=False).encode()) if value else None

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> Any:
        return {} if value is None else json.loads(cipher().open(bytes(value)))
