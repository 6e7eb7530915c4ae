"""Opening the keys for a process, checking that they fit the database, and changing them while people write."""

import logging
import time
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, LargeBinary, MetaData, Table, create_engine, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip
from sqlalchemy.pool import NullPool
from sqlalchemy.types import TypeDecorator

from backend.config import Settings
from backend.db import driver_url
from backend.encryption import (
    Cipher,
    EncryptedBytes,
    EncryptedJSON,
    EncryptedText,
    KeysError,
    key_file,
    new_key,
    open_cipher,
    split_keys,
    use_cipher,
    write_keys,
)
from backend.models import Base, KeyCheck

log = logging.getLogger(__name__)

_CANARY = b"the keys fit"
_BATCH = 500
_ENCRYPTED = (EncryptedBytes, EncryptedJSON, EncryptedText)


def unlock(settings: Settings, *, create: bool = False) -> Cipher:
    """Opens the keys for this process. Raises KeysError."""
    cipher = open_cipher(settings, create=create)
    use_cipher(cipher)
    return cipher


def check_keys(url: str) -> None:
    """Raises KeysError when the database was written with other keys; remembers them when it was never written."""
    engine = create_engine(driver_url(url), hide_parameters=True, poolclass=NullPool)
    try:
        with engine.begin() as connection:
            connection.execute(insert_or_skip(KeyCheck).values(id=1, sealed=_CANARY).on_conflict_do_nothing())
            connection.scalar(select(KeyCheck.sealed))  # what other keys wrote cannot be read at all
    except KeysError as error:
        raise KeysError(
            "The keys do not fit this database: it was written with others. Set ELP_SECRET_KEYS to those, or put the "
            "file secret-keys back. Without them nothing in it can be read."
        ) from error
    finally:
        engine.dispose()


@dataclass(frozen=True, slots=True)
class Rotated:
    renewed: int
    """Values that are now under the newest key."""
    looked_at: int


def rotate(settings: Settings, *, settle_s: float = 10.0) -> Rotated:
    """Puts everything under the newest key while people write. Raises KeysError.

    With a key file, a new key is drawn first and the old ones are dropped last; `settle_s` is how long a transaction
    that began with the old key may still take. With `ELP_SECRET_KEYS` the first key of the setting is the newest, and
    whoever set it drops the others.
    """
    assert settings.database_url is not None
    path = None if settings.secret_keys is not None else key_file(settings)
    if path is not None:
        unlock(settings)
        write_keys(path, [new_key(), *split_keys(path.read_text(encoding="ascii"))])
    cipher = unlock(settings)
    engine = create_engine(driver_url(settings.database_url), hide_parameters=True, poolclass=NullPool)
    try:
        first = renew_everything(engine, cipher)
        time.sleep(settle_s)
        second = renew_everything(engine, cipher)
    finally:
        engine.dispose()
    if path is not None:
        write_keys(path, split_keys(path.read_text(encoding="ascii"))[:1])
    return Rotated(first.renewed + second.renewed, second.looked_at)


def encrypted_columns() -> list[tuple[Table, list[str]]]:
    """Every table with the names of its encrypted columns, from the models themselves: none can be forgotten."""
    found = []
    for table in Base.metadata.sorted_tables:
        names = [column.name for column in table.columns if isinstance(column.type, _ENCRYPTED)]
        if names:
            found.append((table, names))
    return found


def renew_everything(engine: Engine, cipher: Cipher) -> Rotated:
    """One walk through all encrypted values, in short transactions."""
    renewed = looked_at = 0
    for table, names in encrypted_columns():
        plain = _as_stored(table)
        last = None
        while True:
            with engine.begin() as connection:
                count, changed, last = _renew_batch(connection, plain, names, last, cipher)
            looked_at, renewed = looked_at + count, renewed + changed
            if last is None:
                break
    return Rotated(renewed, looked_at)


def _as_stored(table: Table) -> Table:
    """The same table with sealed values as the bytes they are."""
    copy = table.to_metadata(MetaData())
    for column in copy.columns:
        if isinstance(column.type, TypeDecorator):
            column.type = LargeBinary()
    return copy


def _renew_batch(
    connection: Connection, table: Table, names: list[str], after: object | None, cipher: Cipher
) -> tuple[int, int, object | None]:
    """Values looked at, values renewed, and where to go on; None at the end."""
    (key,) = table.primary_key.columns
    query = select(key, *(table.c[name] for name in names)).order_by(key).limit(_BATCH)
    rows = connection.execute(query if after is None else query.where(key > after)).all()
    looked_at = changed = 0
    for row in rows:
        for name, old in zip(names, row[1:], strict=True):
            if old is None:
                continue
            looked_at += 1
            fresh = cipher.renew(bytes(old))
            if fresh is not None:
                # Only if nobody wrote it meanwhile: whoever did used the newest key.
                statement = update(table).where(key == row[0], table.c[name] == old).values({name: fresh})
                changed += connection.execute(statement).rowcount
    return looked_at, changed, rows[-1][0] if len(rows) == _BATCH else None
