"""What people write is unreadable without the keys, and the keys can be changed while they write."""

import asyncio
import stat
from pathlib import Path

import httpx
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr, ValidationError
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import NullPool

from backend import encryption, keys
from backend.chat import Sent, receive
from backend.config import Settings
from backend.conversations import list_messages, open_conversation
from backend.db import driver_url
from backend.encryption import Cipher, KeysError, new_key, open_cipher, split_keys, use_cipher, write_keys
from backend.keys import check_keys, encrypted_columns, rotate
from backend.migrations.run import alembic_config, migrate
from backend.postgres import temporary
from backend.services import Services

SECRET = "mio marito mi ha preso il passaporto"


async def raw_dump(services: Services) -> str:
    """Every column of every table as PostgreSQL holds it; a backup shows no more than this."""
    async with services.engine.connect() as connection:
        tables = (
            await connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        ).scalars()
        rows = [str((await connection.execute(text(f'SELECT * FROM "{name}"'))).all()) for name in tables.all()]
    return "\n".join(rows)


async def test_a_thief_of_the_database_reads_no_message(services: Services) -> None:
    opened = await open_conversation(services.sessions, channel="web", language="it")
    answered = await receive(services.chat, opened.id, opened.token, Sent("one", SECRET))
    dump = await raw_dump(services)
    assert str(opened.id) in dump
    assert SECRET not in dump
    assert answered.messages[-1].text not in dump
    assert SECRET.encode().hex() not in dump
    _, messages = await list_messages(services.sessions, opened.id, opened.token)
    assert SECRET in [message.text for message in messages]


@pytest.mark.parametrize("value", [b"plain words", b"", b"x" * 200])
async def test_the_table_refuses_what_is_not_encrypted(services: Services, value: bytes) -> None:
    opened = await open_conversation(services.sessions, channel="web", language="it")
    statement = text("UPDATE messages SET text = :value WHERE conversation_id = :id")
    with pytest.raises(IntegrityError):
        async with services.engine.begin() as connection:
            await connection.execute(statement, {"value": value, "id": opened.id})


def test_every_table_with_encrypted_values_can_be_rotated() -> None:
    found = {table.name: names for table, names in encrypted_columns()}
    assert found["messages"] == ["text", "original", "italian", "payload"]
    assert all(len(table.primary_key.columns) == 1 for table, _ in encrypted_columns())


@pytest.mark.parametrize("weak", ["", "secret", "a" * 44, "QUJD" * 11, "0" * 43 + "=", "Ä" * 44])
def test_a_weak_or_broken_key_is_refused(weak: str) -> None:
    with pytest.raises(ValueError, match=r"elp keys new"):
        split_keys(weak)


def test_weak_keys_in_the_settings_are_named_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="too weak"):
        Settings(data_dir=tmp_path, secret_keys=SecretStr("A" * 43 + "="))


def test_a_new_machine_gets_keys_that_only_their_owner_can_read(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with pytest.raises(KeysError, match="elp keys new"):
        open_cipher(settings)
    sealed = open_cipher(settings, create=True).seal(b"words")
    path = tmp_path / "secret-keys"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert open_cipher(settings, create=True).open(sealed) == b"words"


def test_a_broken_file_of_keys_is_an_error_and_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "secret-keys").write_text("nonsense\n")
    with pytest.raises(KeysError, match="cannot be used"):
        open_cipher(Settings(data_dir=tmp_path), create=True)
    assert (tmp_path / "secret-keys").read_text() == "nonsense\n"


def test_a_running_process_follows_a_changed_file(tmp_path: Path) -> None:
    path = tmp_path / "secret-keys"
    old, new = new_key(), new_key()
    write_keys(path, [old])
    cipher = Cipher([old], file=path)
    before = cipher.seal(b"before")
    write_keys(path, [new, old])
    after = cipher.seal(b"after")
    assert Cipher([new]).open(after) == b"after"
    assert cipher.open(before) == b"before"
    assert cipher.renew(after) is None
    assert Cipher([new]).open(cipher.renew(before) or b"") == b"before"
    with pytest.raises(KeysError):
        Cipher([new_key()]).open(after)


def test_other_keys_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with temporary() as server:
        before = encryption.cipher()
        try:
            use_cipher(Cipher([new_key()]))
            migrate(server.url)
            check_keys(server.url)
            check_keys(server.url)
            use_cipher(Cipher([new_key()]))
            with pytest.raises(KeysError, match="do not fit this database"):
                check_keys(server.url)
        finally:
            use_cipher(before)


def test_messages_from_before_the_encryption_are_encrypted_and_kept() -> None:
    from alembic import command

    with temporary() as server:
        engine = create_engine(driver_url(server.url), poolclass=NullPool)
        with engine.connect() as connection:
            command.upgrade(alembic_config(connection), "0002")
            connection.execute(
                text(
                    "INSERT INTO conversations (id, channel, token_hash, language, dialogue) VALUES "
                    "('00000000-0000-0000-0000-000000000001', 'web', '\\x00', 'it', '{\"last_entry\": \"x\"}'),"
                    "('00000000-0000-0000-0000-000000000002', 'web', '\\x01', 'it', '{}')"
                )
            )
            connection.execute(
                text(
                    "INSERT INTO messages (conversation_id, author, language, text, payload) "
                    "SELECT '00000000-0000-0000-0000-000000000001', 'person', 'it', 'parola ' || n, "
                    "CASE n % 2 WHEN 0 THEN '{}' ELSE jsonb_build_object('choice', n) END "
                    "FROM generate_series(1, 1100) n"
                )
            )
            connection.commit()
        migrate(server.url)
        with engine.connect() as connection:
            rows = connection.execute(text("SELECT text, payload FROM messages ORDER BY id")).all()
            dialogue = connection.execute(text("SELECT dialogue FROM conversations ORDER BY id")).scalars().all()
        engine.dispose()
    words = [encryption.cipher().open(bytes(row.text)).decode() for row in rows]
    assert words == [f"parola {n}" for n in range(1, 1101)]
    assert [row.payload is None for row in rows[:4]] == [False, True, False, True]
    assert encryption.cipher().open(bytes(dialogue[0] or b"")) == b'{"last_entry": "x"}'
    assert dialogue[1] is None


def renew_all(settings: Settings, cipher: Cipher) -> int:
    engine = create_engine(driver_url(str(settings.database_url)), poolclass=NullPool)
    try:
        return keys.renew_everything(engine, cipher).renewed
    finally:
        engine.dispose()


async def test_keys_are_rotated_while_people_write(
    services: Services, settings: Settings, tmp_path: Path, client: httpx.AsyncClient
) -> None:
    """Everything readable at every moment, and at the end nothing is left under the old key."""
    before = encryption.cipher()
    path = tmp_path / "secret-keys"
    assert settings.secret_keys is not None
    (old,) = split_keys(settings.secret_keys.get_secret_value())
    write_keys(path, [old])
    with_file = settings.model_copy(update={"secret_keys": None, "data_dir": tmp_path})
    use_cipher(Cipher([old], file=path))
    opened = await open_conversation(services.sessions, channel="web", language="it")
    stop = asyncio.Event()
    written: list[str] = []

    async def write() -> None:
        while not stop.is_set() or len(written) < 20:
            words = f"messaggio numero {len(written)}"
            await receive(services.chat, opened.id, opened.token, Sent(f"m{len(written)}", words))
            written.append(words)
            await list_messages(services.sessions, opened.id, opened.token)

    writing = asyncio.create_task(write())
    try:
        rotated = await asyncio.to_thread(rotate, with_file, settle_s=0.5)
        stop.set()
        await writing
        assert rotated.renewed > 0
        (newest,) = split_keys(path.read_text())
        assert newest != old
        use_cipher(Cipher([newest]))
        _, messages = await list_messages(services.sessions, opened.id, opened.token, limit=10_000)
        assert [message.text for message in messages if message.author == "person"] == written
        check_keys(str(settings.database_url))
        assert renew_all(settings, Cipher([newest])) == 0
    finally:
        # The other tests of this process go on with the key they know.
        use_cipher(Cipher([old, *split_keys(path.read_text())]))
        await asyncio.to_thread(renew_all, settings, encryption.cipher())
        use_cipher(before)


def test_keys_of_a_setting_are_tried_in_order() -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    sealed = Cipher([old]).seal(b"words")
    assert Cipher(split_keys(f"{new}, {old}")).open(sealed) == b"words"
