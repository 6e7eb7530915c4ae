"""What `elp run` does beside starting programs: migrate, load the content, train; and the same for single commands."""

import asyncio
import contextlib
import json
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal, TypeVar
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from backend import articles, desk_examples, install, postgres, supervisor, users
from backend.children import Service
from backend.config import Settings
from backend.conversations import erase_for_person
from backend.db import create_engine, create_sessions
from backend.encryption import KeysError
from backend.errors import NotFound
from backend.keys import check_keys, rotate, unlock
from backend.migrations.run import migrate
from backend.progress import Progress, Report, StartError
from backend.users import NewUser, invite_administrator
from bot.phrases import SPOKEN
from knowledge_base.files import ContentError, load_content

T = TypeVar("T")
Demo = Literal["none", "new", "all"]
"""Which desks get example hours: no desk, one that is made now, every desk of which nobody has said anything."""
_ASK_PHRASES = 240
"""Written questions for each language that the NLU learns to tell from acts; more of them would drown the acts."""


def run_all(settings: Settings, *, telegram_demo: bool = False) -> int:
    """Everything on this machine until Ctrl-C. Raises StartError."""
    services: tuple[Service, ...] = supervisor.SERVICES
    if telegram_demo:
        settings, stand_in = supervisor.with_telegram_demo(settings)
        services = (*services, stand_in)
    understanding = supervisor.Understanding(
        install.nlu_environment, _train, install.is_nlu_prepared, supervisor.rasa_command
    )
    content = supervisor.Step("starter content", lambda settings: seed_content(settings, demo="new"))
    steps = (supervisor.Step("migrations", migrate_database), content)

    def announce(settings: Settings) -> Iterable[str]:
        if telegram_demo:
            yield f"Telegram, for trying out: {settings.telegram_api_url}"
        yield from announcement(settings)

    return supervisor.run(settings, steps=steps, services=services, understanding=understanding, announce=announce)


def announcement(settings: Settings) -> Iterable[str]:
    """What `elp run` says when it is ready."""
    yield from invite_administrator(settings)
    if settings.telegram_token is not None:
        from backend.telegram_service import describe  # brings search and Telegram along, for this one sentence

        yield asyncio.run(describe(settings))
    try:
        desks = asyncio.run(_in_session(settings, desk_examples.desks_with_demo_hours))
    except (SQLAlchemyError, OSError):
        return  # the database went away this moment; the service goes on, and the next start says it
    if desks:
        yield f"Example opening hours, until somebody sets real ones in the console: {', '.join(desks)}"


def with_database(settings: Settings, work: Callable[[Settings], T]) -> T:
    """Runs `work` on the set database, or on the embedded one, started for as long as it takes. Raises StartError."""
    if settings.database_url:
        return work(settings)
    server = postgres.start(settings.data_dir)
    try:
        return work(settings.model_copy(update={"database_url": server.url}))
    finally:
        server.stop()


def migrate_database(settings: Settings) -> None:
    """Newest schema, and keys that fit it; a machine without keys gets its own. Raises StartError."""
    try:
        unlock(settings, create=True)
        migrate(str(settings.database_url))
        check_keys(str(settings.database_url))
    except KeysError as error:
        raise StartError(str(error)) from error


def rotate_keys(settings: Settings) -> str:
    """Says what it did. Raises StartError."""
    try:
        rotated = rotate(settings)
    except KeysError as error:
        raise StartError(str(error)) from error
    done = f"{rotated.renewed} values put under the newest key; {rotated.looked_at} are encrypted."
    if settings.secret_keys is not None:
        done += " All keys of ELP_SECRET_KEYS but the first may be taken out, and then web and worker started again."
    return done


def erase(settings: Settings, conversation_id: UUID) -> str:
    """For somebody who asked for it; says the number of the receipt. Raises StartError."""

    async def work() -> str:
        engine = create_engine(str(settings.database_url), pool_size=1)
        try:
            return await erase_for_person(create_sessions(engine), conversation_id)
        finally:
            await engine.dispose()

    try:
        unlock(settings)
        receipt = asyncio.run(work())
    except KeysError as error:
        raise StartError(str(error)) from error
    except NotFound as error:
        raise StartError("There is no conversation with this id; nothing was erased.") from error
    return f"Erased, with everything that belonged to it. Receipt: {receipt}"


def add_user(settings: Settings, new: NewUser) -> str:
    """Also on a machine where nothing was started yet. Raises StartError."""
    migrate_database(settings)
    return users.add_user(settings, new)


def link_user(settings: Settings, email: str) -> str:
    """Raises StartError."""
    migrate_database(settings)
    return users.link_user(settings, email)


def seed_content(settings: Settings, *, demo: Demo = "none") -> str:
    """Loads the starter content and makes a first desk where there is no organisation; says what it did. Raises
    StartError when a content file cannot be used."""
    try:
        content = load_content()
    except ContentError as error:
        raise StartError(f"The starter content cannot be loaded: {error}") from error

    async def work() -> tuple[articles.Seeded, bool, int]:
        engine = create_engine(str(settings.database_url), pool_size=1)
        try:
            sessions = create_sessions(engine)
            seeded = await articles.seed(sessions, content)
            async with sessions.begin() as session:
                made = await desk_examples.seed_places(session)
                wanted = demo == "all" or (demo == "new" and made)
                examples = await desk_examples.seed_demo_hours(session) if wanted else 0
                if demo != "none":
                    await desk_examples.seed_demo_kinds(session)
                return seeded, made, examples
        finally:
            await engine.dispose()

    seeded, made, examples = asyncio.run(work())
    done = f"{seeded.added} entries added, {seeded.updated} updated, {seeded.kept} edited here and left alone"
    done += f"; desk {desk_examples.FIRST_DESK!r} made" if made else ""
    return done + (f"; example hours at {examples} desks" if examples else "")


async def _in_session(settings: Settings, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
    """One transaction on a connection of its own."""
    engine = create_engine(str(settings.database_url), pool_size=1)
    try:
        async with create_sessions(engine).begin() as session:
            return await work(session)
    finally:
        await engine.dispose()


@contextlib.contextmanager
def ask_phrases() -> Iterator[Path]:
    """A Rasa data file with written questions as `ask`: what people ask stands in the content, once."""
    content = load_content()
    entries = [entry for entry in content.entries if entry.shown]
    lines: list[str] = []
    for code in SPOKEN:
        asked = [question for entry in entries if code in entry.texts for question in entry.texts[code].questions]
        strange = content.outside.get(code, ())  # a question that nobody answers is no act either
        for some in (asked, strange):
            lines += [question for question in some[:: max(1, len(some) // _ASK_PHRASES)] if "[" not in question]
    examples = "".join(f"- {line}\n" for line in dict.fromkeys(" ".join(line.split()) for line in lines))
    # YAML takes a JSON string as a scalar, so no question can break the file.
    body = f'version: "3.1"\nnlu:\n- intent: ask\n  examples: {json.dumps(examples, ensure_ascii=False)}\n'
    with tempfile.TemporaryDirectory(prefix="elp-ask-") as folder:
        path = Path(folder) / "ask.yml"
        path.write_text(body, encoding="utf-8")
        yield path


def _train(data_dir: Path, *, report: Report, stopping: threading.Event) -> Path:
    with ask_phrases() as path:
        return install.nlu_model(data_dir, extra=[path], report=report, stopping=stopping)


def train_nlu(settings: Settings) -> None:
    """Installs Rasa when it is missing and trains when its data changed. Raises StartError."""
    progress = Progress(2)
    with progress.step("Rasa") as line:
        install.nlu_environment(settings.data_dir, report=line)
    with progress.step("language model") as line, ask_phrases() as path:
        install.nlu_model(settings.data_dir, extra=[path], report=line)


def prepare_tests(settings: Settings) -> None:
    """What the browser tests and the tests with the real NLU need. Raises StartError."""
    from knowledge_base.library import Library  # brings the whole search along, which no other command here needs

    progress = Progress(2)
    with progress.step("front-end libraries") as line:
        install.frontend(settings.data_dir, report=line)
    with progress.step("search index"):
        content = load_content()
        Library.build(content.entries, content.outside, cache=settings.data_dir / "index")
    train_nlu(settings)


def nlu_python(settings: Settings) -> str:
    """The Python of Rasa's environment, installed when it is missing. Raises StartError."""
    return str(install.nlu_environment(settings.data_dir))
