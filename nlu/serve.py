"""A parse-only Rasa server: `python nlu/serve.py --model FILE --host 127.0.0.1 --port 5005`.

POST /model/parse {"text": "…"} answers as Rasa does; GET / says that the model is loaded; nothing else of
Rasa's HTTP interface (training, loading other models, conversations) is reachable. Message texts are
written to no log: Rasa's and Sanic's loggers are off, this file prints what an operator needs.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rasa_training import prepare_rasa, silence_structlog

if TYPE_CHECKING:
    from rasa.core.agent import Agent
    from sanic import Sanic
    from sanic.request import Request
    from sanic.response import HTTPResponse

ROUTES = {("GET", "/"), ("GET", "/status"), ("POST", "/model/parse")}
MAX_BODY_BYTES = 1_000_000
# A longer message says no more about what its writer wants; the rest is not looked at.
MAX_TEXT_CHARACTERS = 4_000
SHUTDOWN_SECONDS = 1.0
PARENT_CHECK_SECONDS = 0.5


def main(arguments: list[str] | None = None) -> int:
    began = time.monotonic()
    options = _parser().parse_args(arguments)
    if options.exit_with_parent is not None:
        _exit_with_parent(options.exit_with_parent or os.getppid())
    if not options.model.is_file():
        print(f"error: {options.model}: no such file; train one with train.py", file=sys.stderr)
        return 1
    try:
        listening = _bind(options.host, options.port)
    except OSError as error:
        print(f"error: {options.host}:{options.port}: {error.strerror or error}", file=sys.stderr)
        return 1
    prepare_rasa(serving=not options.with_scikit_learn)
    logging.disable(logging.CRITICAL)
    try:
        app = _create_app(_load(options.model))
    except Exception as error:  # a damaged archive fails in many ways, all of them end the start
        print(f"error: {options.model}: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    _run(app, listening, began)
    return 0


def _run(app: Sanic, listening: socket.socket, began: float) -> None:
    host, port = listening.getsockname()[:2]  # --port 0 takes a free one

    async def warm_up(app: Sanic, loop: object) -> None:
        # The first parse takes ten times as long as those that follow.
        await app.ctx.agent.parse_message("ciao")

    async def say_ready(app: Sanic, loop: object) -> None:
        print(f"listening on http://{host}:{port} after {time.monotonic() - began:.1f} s", flush=True)

    app.register_listener(warm_up, "before_server_start")
    app.register_listener(say_ready, "after_server_start")
    app.run(sock=listening, workers=1, access_log=False, motd=False)


def _bind(host: str, port: int) -> socket.socket:
    """First of all: a port in use ends the start at once, and Sanic would end it with exit status 0."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, port))
    return listening


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Serve the intent classifier on a private address.")
    parser.add_argument("--model", type=Path, required=True, help="elp.tar.gz as train.py writes it")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5005)
    parser.add_argument(
        "--with-scikit-learn",
        action="store_true",
        help="for a model of Rasa's own components, which need it to parse; 45 MB more",
    )
    parser.add_argument(
        "--exit-with-parent",
        type=int,
        nargs="?",
        const=0,
        metavar="PID",
        help="stop when the parent process (or the one with this id, if it is the parent) is gone",
    )
    return parser


def _exit_with_parent(parent: int) -> None:
    """Polls, because PR_SET_PDEATHSIG exists on Linux only and fires when a mere thread of the parent ends."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_CHECK_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="watch-parent", daemon=True).start()


def _load(model: Path) -> Agent:
    from rasa.core.agent import Agent

    silence_structlog()
    agent = Agent.load(model)
    if not agent.is_ready():
        raise RuntimeError("holds no model")
    return agent


def _create_app(agent: Agent) -> Sanic:
    from rasa import server

    app: Sanic = server.create_app(agent=agent, cors_origins=None)
    app.config.REQUEST_MAX_SIZE = MAX_BODY_BYTES
    app.config.GRACEFUL_SHUTDOWN_TIMEOUT = SHUTDOWN_SECONDS
    # The caller keeps connections between messages; opening one takes longer than parsing.
    app.config.KEEP_ALIVE_TIMEOUT = 75
    app.register_middleware(_check_request, "request")
    app.error_handler.add(Exception, _answer_error)
    return app


async def _check_request(request: Request) -> HTTPResponse | None:
    if (request.method, request.path) not in ROUTES:
        return _problem(404, "not found")
    if request.method == "GET":
        return None
    try:
        body = request.json
    except Exception:  # Sanic wraps whatever its JSON parser raises
        return _problem(400, "the body is not JSON")
    if not isinstance(body, dict) or not isinstance(body.get("text"), str):
        return _problem(422, "expected an object with a string under 'text'")
    # "/intent{…}" is Rasa's back door to set an intent and entities; people's messages are only texts.
    # Rasa reads the same dictionary again: Sanic parses a body once.
    body["text"] = body["text"][:MAX_TEXT_CHARACTERS].lstrip("/ \t\r\n")
    return None


def _answer_error(request: Request, error: Exception) -> HTTPResponse:
    status = int(getattr(error, "status_code", None) or 500)
    if status >= 500:
        # The kind of error only: its message may hold a part of what a person wrote.
        print(f"error: {type(error).__name__} at {request.path}", file=sys.stderr, flush=True)
    return _problem(status, "the request could not be answered")


def _problem(status: int, reason: str) -> HTTPResponse:
    from sanic import response

    return response.json({"status": "failure", "code": status, "reason": reason}, status=status)


if __name__ == "__main__":
    sys.exit(main())
