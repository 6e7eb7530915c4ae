"""`elp bench page`: the first visit and the first answer in Chromium on a slow phone line, on a stack of its own.

Bytes are counted on the wire between Chromium and the server, by a relay that knows nothing of pages: headers, icon
and whatever a service worker fetches are in it. Waiting comes from Chromium's own throttling, which also holds up each
request by the latency. Each visit is by a browser profile that has never been here.
"""

import contextlib
import shutil
import socket
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.benchmark import stack
from backend.config import Settings
from backend.progress import StartError

KBIT_S, LATENCY_MS = 400, 400
PHONE = {"width": 375, "height": 740}
QUESTIONS = {
    "it": "come faccio a prendere la residenza a ivrea?",
    "ar": "كيف أجدد تصريح الإقامة؟",
}
"""What is asked first; the answer is a card, or a choice of cards of which the first is opened."""
_QUIET_S = 3.0
"""Without a byte, after which a page has fetched everything it wants."""
_LONGEST_MS = 60_000
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
)

_WATCH = """
(() => {
  const seen = (window.__seen = { shift: 0, moved: [], field: null, answers: [] });
  const named = (node) => (node && node.outerHTML ? node.outerHTML.slice(0, 60) : "?");
  new PerformanceObserver((list) => {
    for (const one of list.getEntries().filter((entry) => !entry.hadRecentInput)) {
      seen.shift += one.value;
      seen.moved.push(...one.sources.map((source) => named(source.node)));
    }
  }).observe({ type: "layout-shift", buffered: true });
  const looks = () => {
    const field = document.getElementById("text");
    const painted = performance.getEntriesByName("first-contentful-paint").length;
    if (painted && field && !field.disabled && field.getClientRects().length) seen.field = performance.now();
    else requestAnimationFrame(looks);
  };
  requestAnimationFrame(looks);
  addEventListener("DOMContentLoaded", () => {
    new MutationObserver(() => {
      const all = document.querySelectorAll("#log li.message.bot[id]").length;
      const painted = () => seen.answers.push(performance.now());
      if (all > seen.answers.length) requestAnimationFrame(() => setTimeout(painted));
    }).observe(document.getElementById("log"), { childList: true });
    addEventListener("click", (event) => (seen.pressed = event.timeStamp), true);
  });
})();
"""
"""Runs in the page before anything of ours: says when the field was on the screen, when an answer was, and what moved
without anybody having touched anything (all of it added up, which is never less than Cumulative Layout Shift)."""


class Relay:
    """Passes connections on to the server and counts what comes back."""

    def __init__(self, target: int) -> None:
        self.target, self.received, self.last = target, 0, time.monotonic()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                browser, _ = self._socket.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
                for source, sink, counted in ((browser, server, False), (server, browser, True)):
                    threading.Thread(target=self._pass_on, args=(source, sink, counted), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if counted:
                    self.received += len(data)
                self.last = time.monotonic()
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def wait_until_quiet(self, wait: Any) -> None:
        """`wait` takes milliseconds and lets the browser's events in."""
        until = time.monotonic() + _LONGEST_MS / 1000
        while time.monotonic() - self.last < _QUIET_S and time.monotonic() < until:
            wait(200)

    def close(self) -> None:
        self._socket.close()


@dataclass
class Visit:
    """Times in milliseconds from the start of the navigation, or from the press."""

    wire: int = 0
    requests: dict[str, int] = field(default_factory=dict)
    """Bytes of each body as it came, by path."""
    bodies: dict[str, int] = field(default_factory=dict)
    """Of the first load."""
    field_ms: float = 0
    usable_ms: float = 0
    answer_ms: float = 0
    shift: float = 0
    moved: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def chromium() -> str:
    """Raises StartError."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    raise StartError("This measures with Chromium, which is not on this machine: apt-get install chromium")


@contextlib.contextmanager
def _browser() -> Iterator[Any]:
    """Raises StartError."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise StartError("This measures with Playwright, which comes with the developers' tools: uv sync") from error
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def _visit(browser: Any, port: int, language: str, *, throttled: bool) -> Visit:
    relay, visit = Relay(port), Visit()
    context = browser.new_context(viewport=PHONE, locale=language)
    context.set_default_timeout(_LONGEST_MS)
    context.on("requestfinished", lambda request: _note(visit, request))
    context.on("requestfailed", lambda request: visit.errors.append(f"{request.url} {request.failure}"))
    page = context.new_page()
    page.on("console", lambda line: visit.errors.append(line.text) if line.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: visit.errors.append(str(error)))
    page.add_init_script(_WATCH)
    if throttled:
        _throttle(context.new_cdp_session(page))
    try:
        _first_load(page, relay, visit)
        _first_answer(page, QUESTIONS[language], visit)
        visit.shift, visit.moved = page.evaluate("[__seen.shift, __seen.moved]")
    finally:
        context.close()
        relay.close()
    return visit


def _throttle(session: Any) -> None:
    session.send("Network.enable")
    speed = KBIT_S * 1000 / 8
    line = {"offline": False, "latency": LATENCY_MS, "downloadThroughput": speed, "uploadThroughput": speed}
    session.send("Network.emulateNetworkConditions", line)


def _note(visit: Visit, request: Any) -> None:
    path = "/" + request.url.split("/", 3)[3].partition("?")[0]
    # A service worker's own requests have no sizes; what they weigh is in what the relay counted.
    with contextlib.suppress(Exception):
        visit.requests[path] = visit.requests.get(path, 0) + request.sizes()["responseBodySize"]


def _wait(page: Any, expression: str) -> None:
    """Playwright's own way evaluates strings inside the page, which our Content-Security-Policy refuses."""
    until = time.monotonic() + _LONGEST_MS / 1000
    while not page.evaluate(expression):
        if time.monotonic() > until:
            raise StartError(f"The page did not come so far: {expression}")
        page.wait_for_timeout(50)


def _first_load(page: Any, relay: Relay, visit: Visit) -> None:
    page.goto(f"http://127.0.0.1:{relay.port}/", wait_until="load")
    _wait(page, "__seen.field !== null")
    relay.wait_until_quiet(page.wait_for_timeout)
    visit.wire, visit.bodies = relay.received, dict(visit.requests)
    visit.field_ms = page.evaluate("__seen.field")
    ready = page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    visit.usable_ms = max(visit.field_ms, ready)


def _first_answer(page: Any, question: str, visit: Visit) -> None:
    page.locator("#text").fill(question)
    page.locator("button.send").click()
    _wait(page, "__seen.answers.length > 0")
    visit.answer_ms = page.evaluate("__seen.answers[0] - __seen.pressed")
    last = page.locator("#log li.message.bot").last
    if last.locator(".card").count() == 0:
        last.locator(".choices .entry button").first.click()
        page.locator("#log .card").first.wait_for()
    page.wait_for_timeout(1_500)
    for closed in page.locator("#log .card details:not([open]) > summary").all()[:1]:
        closed.click()
    page.wait_for_timeout(1_000)


def _of(visits: Sequence[Visit], name: str) -> dict[str, float]:
    values = [float(getattr(one, name)) for one in visits]
    return {"median": round(statistics.median(values), 4), "worst": round(max(values), 4)}


def bench_page(settings: Settings, *, visits: int, throttled: bool = True) -> dict[str, Any]:
    """Nothing of it touches the installation's own database. Raises StartError."""
    found: dict[str, Any] = {"kbit_s": KBIT_S if throttled else None, "latency_ms": LATENCY_MS, "visits": visits}
    with stack(settings) as running, _browser() as browser:
        for language in QUESTIONS:
            _visit(
                browser, running.port, language, throttled=False
            )  # the server's caches are warm, the browser's never
            made = [_visit(browser, running.port, language, throttled=throttled) for _ in range(visits)]
            found[language] = _summary(made)
    return found


def _summary(made: Sequence[Visit]) -> dict[str, Any]:
    first = made[0]
    return {
        "bytes_on_the_wire": max(one.wire for one in made),
        "bytes_of_bodies": sum(first.bodies.values()),
        "requests": len(first.bodies),
        "bodies": dict(sorted(first.bodies.items(), key=lambda one: -one[1])),
        "field_visible_ms": _of(made, "field_ms"),
        "usable_ms": _of(made, "usable_ms"),
        "first_answer_ms": _of(made, "answer_ms"),
        "layout_shift": _of(made, "shift"),
        "moved": sorted({what for one in made for what in one.moved}),
        "errors": [error for one in made for error in one.errors],
    }
