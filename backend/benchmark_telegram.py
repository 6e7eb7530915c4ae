"""`elp bench telegram`: people who talk through the stand-in at once, and a queue whose worker is killed.

Everybody follows one of ten scripts, thinks for two to eight seconds between a reply and the next words, and must get,
word by word and in the same order, what one person alone got for the same script: a missing, a doubled or a misplaced
reply does not go unseen. Times are from the moment somebody writes to the moment Telegram has the first message of the
reply. The stand-in and all who write share one process; the worker, PostgreSQL and Rasa have their own.
"""

import asyncio
import contextlib
import os
import random
import re
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import psutil
from pydantic import SecretStr
from sqlalchemy import func, insert, select, text

from backend.config import Settings
from backend.db import Sessions, create_engine, create_sessions
from backend.encryption import new_key
from backend.keys import unlock
from backend.local_nlu import local_nlu
from backend.models import Conversation, Message
from backend.postgres import temporary
from backend.start import migrate_database, seed_content
from backend.telegram_stand_in import Shown, StandIn, User
from bot.phrases import SPOKEN
from knowledge_base.files import load_content

SCRIPTS, STEPS = 10, 8
_THINKS_S = (2.0, 8.0)
_START_S, _PATIENCE_S = 600.0, 120.0
_QUIET_S = 1.0
"""After which nothing more belongs to a reply; only for those who make the standard."""
_PROBE, _ANSWER = "sportello elp", "Sportello ELP"
_SMALL_TALK = {"it": ("ciao", "grazie mille"), "en": ("hello", "thank you"), "ar": ("مرحبا", "شكرا")}
_JUNK = ("asdf qwer", "😀😀", "12345", "meteo domani a Palermo", "x" * 500)
_MARK = re.compile(r"coda (\d+)\.(\d+)\.(\d+)")
_LEFT = (
    "SELECT (SELECT count(*) FROM telegram_updates WHERE body IS NOT NULL),"
    " (SELECT count(*) FROM messages WHERE author = 'person' AND answered_at IS NULL)"
)


class Worker:
    """In a process of its own, so that it can be killed."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, limits: bool) -> None:
        own = self._environment | {"ELP_RATE_LIMITS": "on" if limits else "off"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "backend.worker"],
            env=os.environ | own,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        assert self._process
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(30)

    def cpu_s(self) -> float:
        """Of the processor, since it started."""
        assert self._process
        times = psutil.Process(self._process.pid).cpu_times()
        return times.user + times.system

    def memory_mb(self) -> float:
        assert self._process
        full = psutil.Process(self._process.pid).memory_full_info()
        return round(getattr(full, "pss", full.rss) / 1e6, 1)


@dataclass(frozen=True)
class Stage:
    """What a measurement runs on; nothing of it is the installation's."""

    standin: StandIn
    worker: Worker
    sessions: Sessions


@contextlib.contextmanager
def _services(settings: Settings, standin_port: int, token: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Address of a database with the starter content, and the worker's environment."""
    with temporary(durable=True) as server, local_nlu(settings) as nlu_url:
        keys = new_key()
        settings = settings.model_copy(update={"database_url": server.url, "secret_keys": SecretStr(keys)})
        migrate_database(settings)
        seed_content(settings)
        unlock(settings)
        yield (
            server.url,
            {
                "ELP_DATABASE_URL": server.url,
                "ELP_NLU_URL": nlu_url,
                "ELP_DATA_DIR": str(settings.data_dir),
                "ELP_SECRET_KEYS": keys,
                "ELP_LOG_LEVEL": "warning",
                "ELP_TELEGRAM_TOKEN": token,
                "ELP_TELEGRAM_API_URL": f"http://127.0.0.1:{standin_port}",
            },
        )


@contextlib.asynccontextmanager
async def _stage(settings: Settings) -> AsyncIterator[Stage]:
    async with StandIn() as standin:
        prepared = _services(settings, standin.port, standin.token)
        url, environment = await asyncio.to_thread(prepared.__enter__)
        engine, worker = create_engine(url, pool_size=2), Worker(environment)
        try:
            yield Stage(standin, worker, create_sessions(engine))
        finally:
            worker.stop()
            await engine.dispose()
            prepared.__exit__(None, None, None)


async def _ready(stage: Stage) -> None:
    """Until the worker answers a question as it should. Raises TimeoutError."""
    probe = stage.standin.user(name="Probe", language_code="it")
    async with asyncio.timeout(_START_S):
        while not any(_ANSWER in words for words in probe.texts):
            probe.sends(_PROBE)
            await asyncio.sleep(2)
    await asyncio.sleep(_QUIET_S)


# ---- people who talk ----


@dataclass
class Talks:
    first_reply_ms: list[float] = field(default_factory=list)
    updates: int = 0
    not_as_alone: int = 0
    """Steps whose reply was missing, doubled, late beyond patience, or somebody else's."""


Script = tuple[str, tuple[str | None, ...]]
"""Language of the telephone, and what is written; None presses a button."""
Replies = list[list[str]]


def _scripts() -> list[Script]:
    random_of = random.Random(8)  # noqa: S311 - the same each time, nothing secret
    entries = [entry for entry in load_content().entries if entry.shown]
    scripts: list[Script] = []
    for code in sorted(SPOKEN)[:SCRIPTS]:
        asked = [question for entry in entries if code in entry.texts for question in entry.texts[code].questions]
        steps = [_step(random_of, code, asked) for _ in range(STEPS - 1)]
        scripts.append((code, ("/start", *steps)))
    return scripts


def _step(random_of: random.Random, code: str, asked: list[str]) -> str | None:
    """70 % questions, 10 % pressed buttons, 10 % small talk, 10 % junk, as in `elp bench chat`."""
    kind = random_of.random()
    if kind < 0.7:
        return random_of.choice(asked)
    if kind < 0.8:
        return None
    return random_of.choice(_SMALL_TALK.get(code, _SMALL_TALK["en"]) if kind < 0.9 else _JUNK)


def _act(user: User, step: str | None) -> None:
    """A button that asks for something to read, not one that calls somebody or changes the language."""
    wanted = ("entry:", "category:", "about:")
    for shown in reversed(user.messages) if step is None else ():
        for button in (one for row in shown.buttons for one in row):
            if button.data and button.data.startswith(wanted):
                user.presses(button.data, message=shown)
                return
    user.sends(step or "ciao")


def _said(shown: Shown) -> str:
    return f"{shown.kind} {shown.text} {shown.labels}"


async def _alone(standin: StandIn, script: Script) -> Replies:
    """What somebody gets for a script who is in no hurry."""
    user, replies = standin.user(language_code=script[0]), Replies()
    for step in script[1]:
        _act(user, step)
        got = [await user.next_message(_PATIENCE_S)]
        with contextlib.suppress(TimeoutError):
            while True:
                got.append(await user.next_message(_QUIET_S))
        replies.append([_said(one) for one in got])
    return replies


async def _talk(standin: StandIn, number: int, script: Script, standard: Replies, talks: Talks) -> None:
    random_of, user = random.Random(number), standin.user(language_code=script[0])  # noqa: S311 - nothing secret
    for step, expected in zip(script[1], standard, strict=True):
        await asyncio.sleep(random_of.uniform(*_THINKS_S))
        began = time.monotonic()
        _act(user, step)
        talks.updates += 1
        try:
            got = await user.next_messages(len(expected), _PATIENCE_S)
        except TimeoutError:
            talks.not_as_alone += 1
            continue
        talks.first_reply_ms.append((got[0].at - began) * 1000)
        talks.not_as_alone += [_said(one) for one in got] != expected
    with contextlib.suppress(TimeoutError):
        await user.next_message(_QUIET_S)
        talks.not_as_alone += 1


async def _left(sessions: Sessions) -> tuple[int, int]:
    """Updates that nobody handled, and messages that nobody answered."""
    async with sessions.begin() as session:
        updates, messages = (await session.execute(text(_LEFT))).one()
        return updates, messages


async def _talks(stage: Stage, people: int) -> dict[str, Any]:
    scripts, standin, talks = _scripts(), stage.standin, Talks()
    standards = await asyncio.gather(*(_alone(standin, script) for script in scripts))
    everybody = (number % len(scripts) for number in range(people))
    before, worker, own = psutil.cpu_times(), stage.worker.cpu_s(), time.process_time()
    await asyncio.gather(
        *(_talk(standin, number, scripts[one], standards[one], talks) for number, one in enumerate(everybody))
    )
    worker, own, after = stage.worker.cpu_s() - worker, time.process_time() - own, psutil.cpu_times()
    updates, messages = await _left(stage.sessions)
    return {
        "people": people,
        "thinks_s": _THINKS_S,
        "updates": talks.updates,
        "first_reply_ms": _cuts(talks.first_reply_ms),
        "not_as_alone": talks.not_as_alone,
        "updates_left": updates + standin.pending,
        "unanswered": messages,
        "worker_cpu_ms_an_update": round(worker * 1000 / talks.updates, 1),
        "standin_cpu_ms_an_update": round(own * 1000 / talks.updates, 1),
        "cpu": _cpu(before, after),
    }


def _cpu(before: Any, after: Any) -> dict[str, float]:
    """Shares of the whole machine, so that a figure says what else was going on."""
    spent = {name: getattr(after, name) - getattr(before, name) for name in ("user", "system", "idle", "steal")}
    return {name: round(value / sum(spent.values()), 2) for name, value in spent.items()}


async def _at_once(stage: Stage, people: int) -> dict[str, float]:
    """Everybody in the same instant, which no day brings: how long until each has a first message."""
    users = [stage.standin.user(language_code="it") for _ in range(people)]
    began = time.monotonic()
    for user in users:
        user.sends(_PROBE)
    shown = await asyncio.gather(*(user.next_message(_PATIENCE_S) for user in users))
    found = _cuts([(one.at - began) * 1000 for one in shown])
    await asyncio.sleep(_QUIET_S)
    return found


def _cuts(times: list[float]) -> dict[str, float]:
    cut = statistics.quantiles(times, n=100)
    return {"p50": round(cut[49], 1), "p95": round(cut[94], 1), "p99": round(cut[98], 1), "number": len(times)}


# ---- a queue ----


async def _queue(stage: Stage, queue: int, messages: int) -> None:
    """So many messages, one after the other for each chat, as if written while the worker was away."""
    query = select(Conversation.id).where(Conversation.channel == "telegram").order_by(Conversation.id).limit(200)
    async with stage.sessions.begin() as session:
        chats = list((await session.execute(query)).scalars())
        rows = [
            {
                "conversation_id": chats[number % len(chats)],
                "author": "bot",
                "language": "it",
                "text": f"coda {queue}.{number % len(chats)}.{number // len(chats)}",
                "payload": {},
            }
            for number in range(messages)
        ]
        await session.execute(insert(Message), rows)


def _drained(standin: StandIn, queue: int) -> list[tuple[float, int, int]]:
    """Moment, chat and number of each message that arrived, in their order."""
    found = []
    for chat in standin.people:
        for shown in chat.messages:
            mark = _MARK.search(shown.text)
            if mark and int(mark[1]) == queue:
                found.append((shown.at, int(mark[2]), int(mark[3])))
    return sorted(found)


async def _drain(stage: Stage, queue: int, messages: int, kills: int) -> dict[str, Any]:
    """With as many kills, evenly spread over the messages."""
    standin, worker = stage.standin, stage.worker
    await _queue(stage, queue, messages)
    refused = sum(call.status == 429 for call in standin.calls)
    before = standin.shown
    worker.start(limits=True)
    for kill in range(1, kills + 1):
        wanted = messages * kill // (kills + 1)
        await _shown(standin, before + wanted)
        worker.kill()
        worker.start(limits=True)
    await _all_sent(stage)
    worker.stop()
    arrived = _drained(standin, queue)
    return {
        "messages": messages,
        "kills": kills,
        **_verdict(arrived, messages),
        **_pace(arrived),
        "refused_429": sum(call.status == 429 for call in standin.calls) - refused,
    }


async def _all_sent(stage: Stage) -> None:
    """Until the database says so; what has not arrived then is lost. Raises TimeoutError."""
    async with asyncio.timeout(_PATIENCE_S):
        while await _unsent(stage):  # noqa: ASYNC110 - rows of another program
            await asyncio.sleep(_QUIET_S)
    await asyncio.sleep(_QUIET_S)


async def _unsent(stage: Stage) -> int:
    telegram = select(Conversation.id).where(Conversation.channel == "telegram")
    query = select(func.count()).where(
        Message.conversation_id.in_(telegram), Message.author != "person", Message.delivered_at.is_(None)
    )
    async with stage.sessions.begin() as session:
        return int((await session.execute(query)).scalar_one())


async def _shown(standin: StandIn, wanted: int) -> None:
    """Raises TimeoutError."""
    await standin.wait_for(lambda: standin.shown >= wanted, 600)


def _verdict(arrived: list[tuple[float, int, int]], messages: int) -> dict[str, int]:
    """A repeated message stands right after itself, or the order was not kept."""
    chats: dict[int, list[int]] = {}
    for _, chat, number in arrived:
        chats.setdefault(chat, []).append(number)
    different = sum(len(set(numbers)) for numbers in chats.values())
    return {
        "lost": messages - different,
        "repeated": len(arrived) - different,
        "out_of_order": sum(first > second for numbers in chats.values() for first, second in pairwise(numbers)),
    }


def _pace(arrived: list[tuple[float, int, int]]) -> dict[str, float]:
    moments = [moment for moment, _, _ in arrived]
    seconds, most, first = moments[-1] - moments[0], 0, 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= 1:
            first += 1
        most = max(most, last - first + 1)
    return {
        "seconds": round(seconds, 1),
        "per_second": round((len(moments) - 1) / seconds, 1),
        "most_in_a_second": most,
    }


async def _run(settings: Settings, people: int, messages: int, kills: int) -> dict[str, Any]:
    async with _stage(settings) as stage:
        stage.worker.start(limits=False)
        await _ready(stage)
        found: dict[str, Any] = {"talks": await _talks(stage, people)}
        found["at_once_ms"] = await _at_once(stage, people)
        found["worker_memory_mb"] = stage.worker.memory_mb()
        await _all_sent(stage)  # what is left of it would be counted as the queue's
        stage.worker.stop()
        stage.standin.limit(True)
        found["queue"] = await _drain(stage, 1, messages, kills=0)
        found["killed"] = await _drain(stage, 2, messages, kills=kills)
        return found | {"violations": stage.standin.violations[:5]}


def bench_telegram(settings: Settings, *, people: int, messages: int, kills: int) -> dict[str, Any]:
    """Nothing of it touches the installation's own database, nor Telegram."""
    return asyncio.run(_run(settings, people, messages, kills))
