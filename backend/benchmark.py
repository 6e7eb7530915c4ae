"""`elp bench chat`: closed-loop load over HTTP on a web process, PostgreSQL and Rasa of its own.

The mix, stated: 70 % questions people ask (all languages with texts), 10 % pressed buttons, 10 % greetings, thanks and
requests for a person, 10 % junk. Every caller has its own conversation and asks again as soon as it is answered.
"""

import asyncio
import contextlib
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psutil
from pydantic import SecretStr

from backend.config import Settings
from backend.encryption import new_key
from backend.local_nlu import free_port, local_nlu, wait_until_answers
from backend.postgres import temporary
from backend.start import migrate_database, seed_content
from bot.phrases import SPOKEN
from knowledge_base.files import load_content

_WARM_UP_S = 2.0
_SMALL_TALK = {
    "it": ("ciao", "grazie mille", "voglio parlare con una persona"),
    "en": ("hello", "thank you", "i want to talk to a person"),
    "fr": ("bonjour", "merci beaucoup", "je veux parler à quelqu'un"),
    "ar": ("مرحبا", "شكرا", "أريد التحدث مع شخص"),
}
_JUNK = ("asdf qwer", "😀😀", "12345", "meteo domani a Palermo", "x" * 500)


@dataclass
class Round:
    """Times in milliseconds, one for each answered turn."""

    times: list[float] = field(default_factory=list)
    errors: int = 0


class Http:
    """A bare HTTP/1.1 client on one kept connection: the load must not cost more than what it measures."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def connect(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def post(self, path: str, body: dict[str, Any], token: str = "") -> tuple[int, Any]:
        data = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        head += f"authorization: Bearer {token}\r\n" if token else ""
        self._writer.write(head.encode() + f"content-length: {len(data)}\r\n\r\n".encode() + data)
        header = await self._reader.readuntil(b"\r\n\r\n")
        lines = header.decode("latin-1").lower().split("\r\n")
        length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length:"))
        return int(lines[0].split(" ")[1]), json.loads(await self._reader.readexactly(length))

    def close(self) -> None:
        self._writer.close()


async def _caller(port: int, number: int, questions: dict[str, list[str]], until: float, result: Round) -> None:
    random_of = random.Random(number)  # noqa: S311 - the same mix each time, nothing secret
    language = random_of.choice(sorted(questions))
    http = Http(port)
    await http.connect()
    _, opened = await http.post("/api/v1/conversations", {"language": language})
    path, choices = f"/api/v1/conversations/{opened['id']}/messages", opened["messages"][0]["choices"]
    warm = time.perf_counter() + _WARM_UP_S
    for turn in itertools.count():
        body = _next(random_of, questions[language], language, choices) | {"client_message_id": f"{number}-{turn}"}
        started = time.perf_counter()
        status, answer = await http.post(path, body, opened["token"])
        done = time.perf_counter()
        if done > until:
            break
        if done > warm:
            result.times.append((done - started) * 1000)
            result.errors += status != 200
        if status == 200 and answer["messages"]:
            choices = answer["messages"][-1]["choices"]
    http.close()


def _next(random_of: random.Random, asked: list[str], language: str, choices: list[dict[str, str]]) -> dict[str, str]:
    kind = random_of.random()
    if kind < 0.7:
        return {"text": random_of.choice(asked)}
    # «Another language» and «delete everything» would change what is measured.
    pressable = [one["id"] for one in choices if not one["id"].startswith(("language", "forget"))]
    if kind < 0.8 and pressable:
        return {"choice": random_of.choice(pressable)}
    if kind < 0.9:
        return {"text": random_of.choice(_SMALL_TALK.get(language, _SMALL_TALK["en"]))}
    return {"text": random_of.choice(_JUNK)}


def _questions() -> dict[str, list[str]]:
    entries = [entry for entry in load_content().entries if entry.shown]
    return {code: [q for e in entries if code in e.texts for q in e.texts[code].questions] for code in SPOKEN}


async def _round(port: int, callers: int, seconds: float) -> dict[str, Any]:
    result, questions = Round(), _questions()
    until = time.perf_counter() + _WARM_UP_S + seconds
    await asyncio.gather(*(_caller(port, number, questions, until, result) for number in range(callers)))
    cuts = statistics.quantiles(result.times, n=100)
    return {
        "callers": callers,
        "turns": len(result.times),
        "turns_per_s": round(len(result.times) / seconds, 1),
        "p50_ms": round(cuts[49], 1),
        "p95_ms": round(cuts[94], 1),
        "p99_ms": round(cuts[98], 1),
        "errors": result.errors,
    }


def _memory_mb(processes: dict[str, int]) -> dict[str, float]:
    """Proportional set size where the system tells it: memory shared between processes is counted once."""
    sizes = {}
    for name, pid in processes.items():
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        total = 0
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                full = one.memory_full_info()
                total += getattr(full, "pss", full.rss)
        sizes[name] = round(total / 1e6, 1)
    return sizes | {"total": round(sum(sizes.values()), 1)}


@contextlib.contextmanager
def _service(module: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(15)


@dataclass(frozen=True)
class Stack:
    """A whole service with a database of its own, for as long as a measurement takes."""

    port: int
    database_url: str
    processes: dict[str, int]

    def memory_mb(self) -> dict[str, float]:
        return _memory_mb(self.processes)


@contextlib.contextmanager
def stack(settings: Settings) -> Iterator[Stack]:
    """Nothing of it touches the installation's own database."""
    with temporary(durable=True) as server, local_nlu(settings) as nlu_url:
        keys = new_key()
        settings = settings.model_copy(update={"database_url": server.url, "secret_keys": SecretStr(keys)})
        migrate_database(settings)
        seed_content(settings)
        port = free_port()
        environment = {
            "ELP_DATABASE_URL": server.url,
            "ELP_NLU_URL": nlu_url,
            "ELP_PORT": str(port),
            "ELP_DATA_DIR": str(settings.data_dir),
            "ELP_SECRET_KEYS": keys,
            "ELP_RATE_LIMITS": "off",
        }
        with _service("backend.main", environment) as web, _service("backend.worker", environment) as worker:
            wait_until_answers(f"http://127.0.0.1:{port}/readyz", web)
            nlu = next(child.pid for child in psutil.Process().children() if "serve.py" in " ".join(child.cmdline()))
            processes = {"web": web.pid, "worker": worker.pid, "nlu": nlu, "postgres": server.pid}
            yield Stack(port, server.url, processes)


def bench_chat(settings: Settings, callers: list[int], seconds: float) -> dict[str, Any]:
    """One round for each number of callers."""
    with stack(settings) as running:
        rounds = [asyncio.run(_round(running.port, count, seconds)) for count in callers]
        memory = running.memory_mb()
    return {"mix": "70% questions, 10% buttons, 10% small talk, 10% junk", "rounds": rounds, "memory_mb": memory}
