"""Every operation, page or API, against requests that its own description makes up (Schemathesis).

As nobody, as a person with a conversation, and as staff of every role. `ELP_FUZZ_EXAMPLES=500` before the command
makes it longer, and random instead of the same each time.
"""

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar

import hypothesis
import pytest
import requests
import schemathesis
import uvicorn
from fastapi.openapi.utils import get_openapi
from fastapi.routing import RouteContext, iter_route_contexts
from schemathesis.checks import CheckContext, not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ensure_resource_availability,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
    use_after_free,
)

from backend.access import CONSOLE
from backend.config import Settings
from backend.conversations import open_conversation
from backend.local_nlu import free_port
from backend.main import create_app
from backend.services import Services
from backend.web.protection import security_headers
from knowledge_base.files import Content
from knowledge_base.library import Library
from tests.conftest import SECRET_KEYS, started
from tests.handovers import put_at_desk
from tests.staff import add_key, make_desk, make_organisation, make_staff

EXAMPLES = int(os.environ.get("ELP_FUZZ_EXAMPLES", "0"))
"""Made-up requests for each operation and caller; 0: few, and the same each time."""
STAFF = ("operator", "editor", "desk_manager", "administrator", "auditor")
API_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    unsupported_method,
]
# Left out, for all:
# - positive_data_acceptance: an id of the right form that belongs to nothing is rightly answered with 404;
# - use_after_free, ensure_resource_availability: they look at chains of requests; `test_chains_of_requests` makes them.
# Left out, for pages: what their description says of answers. A page is for people and described nowhere; instead
# `is_a_page` says what every page must be.
STREAMS = "/events$"
"""Never end for somebody who may read them; `test_live.py` reads them. For everybody else they are asked here too."""
T = TypeVar("T")


class Shown(RouteContext):
    """A route as it would be described if it were in the description."""

    @property
    def include_in_schema(self) -> bool:
        return True


def describe_everything() -> dict[str, Any]:
    app = create_app(Settings(secret_keys=SECRET_KEYS))
    routes = [Shown(context.route, context._route_context) for context in iter_route_contexts(app.routes)]
    return get_openapi(title="everything", version="1", routes=routes)


def configured(*, examples: int, phases: tuple[str, ...]) -> SchemathesisConfig:
    named = {name: {"enabled": name in phases} for name in ("examples", "coverage", "fuzzing", "stateful")}
    generation = {"max-examples": examples, "deterministic": EXAMPLES == 0, "database": "none"}
    return SchemathesisConfig.from_dict({"phases": named, "generation": generation})


DESCRIPTION = describe_everything()
EVERYTHING = schemathesis.openapi.from_dict(
    DESCRIPTION, config=configured(examples=EXAMPLES or 5, phases=("examples", "coverage", "fuzzing"))
)
FOR_STAFF = schemathesis.openapi.from_dict(
    DESCRIPTION, config=configured(examples=EXAMPLES or 3, phases=("examples", "fuzzing"))
)
CHAINS = schemathesis.openapi.from_dict(
    DESCRIPTION, config=configured(examples=EXAMPLES or 25, phases=("stateful",))
).include(path_regex="^/api/v1/conversations")
PAGES = FOR_STAFF.exclude(path_regex="^/(api|healthz|readyz|metrics)")


@dataclass(frozen=True)
class Caller:
    """What a caller sends with every request, and the ids of what is theirs."""

    headers: dict[str, str]
    own: dict[str, str]


@dataclass
class Site:
    """The application behind a real port, in a thread and an event loop of its own."""

    url: str
    loop: asyncio.AbstractEventLoop
    services: Services
    settings: Settings
    web: requests.Session = field(default_factory=requests.Session)
    callers: dict[tuple[str, str], Caller] = field(default_factory=dict)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)


@pytest.fixture(scope="module")
def site(settings: Settings, content: Content, library: Library) -> Iterator[Site]:
    ready, stop, found, port = threading.Event(), asyncio.Event(), [], free_port()

    async def serve() -> None:
        async with started(settings, content, library) as app:
            config = uvicorn.Config(app, port=port, lifespan="off", log_config=None, access_log=False)
            server = uvicorn.Server(config)
            running = asyncio.create_task(server.serve())
            while not server.started:
                await asyncio.sleep(0.01)
            found.append(Site(f"http://127.0.0.1:{port}", asyncio.get_running_loop(), app.state.services, settings))
            ready.set()
            await stop.wait()
            server.should_exit = True
            await running

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(60)
    # Cookies are given request by request: what one answer sets must not make the next caller somebody else.
    found[0].web.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    yield found[0]
    found[0].web.close()
    found[0].loop.call_soon_threadsafe(stop.set)
    thread.join(30)


def own_form(site: Site) -> dict[str, str]:
    return {"origin": site.url, "sec-fetch-site": "same-origin"}


async def open_one(services: Services) -> tuple[dict[str, str], dict[str, str]]:
    where = {"channel": "web", "language": "it", "keeping": services.chat.keeping}
    opened = await open_conversation(services.sessions, **where)
    headers = {"authorization": f"Bearer {opened.token}", "cookie": f"elp_chat={opened.id}.{opened.token}"}
    return headers, {"conversation_id": str(opened.id)}


async def employ(services: Services, role: str) -> tuple[dict[str, str], dict[str, str]]:
    organisation = await make_organisation(services)
    desk = await make_desk(services, organisation)
    staff = await make_staff(services, role, organisation=organisation)
    colleague = await make_staff(services, "operator", organisation=organisation, desk=desk)
    ids = {"organisation_id": str(organisation), "desk_id": str(desk), "account_id": str(colleague.account_id)}
    cookie = "; ".join(f"{name}={value}" for name, value in staff.cookies.items())
    key = await add_key(services, staff.account_id)
    return {"cookie": cookie, "authorization": f"Bearer {key}"}, ids


async def employ_with_a_conversation(services: Services, role: str) -> tuple[dict[str, str], dict[str, str]]:
    headers, ids = await employ(services, role)
    opened = await open_conversation(services.sessions, channel="api", language="it")
    await put_at_desk(services, opened.id, int(ids["desk_id"]))
    return headers, ids | {"conversation_id": str(opened.id)}


def caller_for(site: Site, case: schemathesis.Case, role: str) -> Caller:
    """One of their own for each operation: one that signs out or erases does not change who the next one is."""
    key = (role, case.operation.label)
    if key not in site.callers:
        headers, own = site.do(open_one(site.services) if role == "person" else employ(site.services, role))
        site.callers[key] = Caller(own_form(site) | headers, own)
    return site.callers[key]


def is_api(path: str) -> bool:
    return path.startswith("/api/")


def is_a_page(ctx: CheckContext, response: Response, case: schemathesis.Case) -> None:
    """What a browser gets is a page, a redirect, or one of the few other things that are meant."""
    kind = response.headers.get("content-type", [""])[0].partition(";")[0]
    allowed = {"text/html"}
    if case.path in ("/healthz", "/readyz", "/metrics") or is_api(case.path):
        allowed = {"application/json", "application/problem+json", "text/plain"}
    elif response.status_code < 300:
        allowed |= {"text/event-stream", "application/json", "image/svg+xml", "text/plain", "text/csv"}
        allowed |= {"text/javascript", "application/manifest+json"}
    if response.status_code >= 400 or response.content:
        assert kind in allowed, f"{response.status_code} with {kind}"
    assert "traceback" not in response.text.lower()


def is_protected(ctx: CheckContext, response: Response, case: schemathesis.Case) -> None:
    missing = [name for name in security_headers(Settings()) if name not in response.headers]
    assert not missing, f"without {missing}"


def ask(site: Site, case: schemathesis.Case, caller: Caller | None, checks: list[Any]) -> None:
    for name, value in (caller.own if caller else {}).items():
        if name in (case.path_parameters or {}):
            case.path_parameters[name] = value
    headers = caller.headers if caller else own_form(site)
    checks = [*checks, is_protected]
    case.call_and_validate(site.url, site.web, headers, checks=checks, timeout=20, allow_redirects=False)


def test_chains_of_requests(site: Site) -> None:
    """What was opened is written to, read, taken along, erased, in every order; each with the token it was given."""
    tokens: dict[str, str] = {}
    machine = CHAINS.exclude(path_regex=STREAMS).as_state_machine()

    class Chains(machine):  # type: ignore[misc, valid-type]  # made by Schemathesis when it runs
        def get_call_kwargs(self, case: schemathesis.Case) -> dict[str, Any]:
            token = tokens.get(str((case.path_parameters or {}).get("conversation_id")), "unknown")
            headers = own_form(site) | {"authorization": f"Bearer {token}"}
            return {"base_url": site.url, "session": site.web, "headers": headers, "timeout": 20}

        def after_call(self, response: Response, case: schemathesis.Case) -> None:
            if case.path.endswith("/conversations") and response.status_code == 201:
                opened = response.json()
                tokens[opened["id"]] = opened["token"]

        def validate_response(self, response: Response, case: schemathesis.Case, **more: Any) -> None:
            reached.add((case.method, case.path, response.status_code))
            case.validate_response(
                response,
                checks=[*API_CHECKS, use_after_free, ensure_resource_availability],
                recorder=self.recorder,
                transport_kwargs=self.get_call_kwargs(case),
            )

    reached: set[tuple[str, str, int]] = set()
    Chains.run(
        settings=hypothesis.settings(
            max_examples=EXAMPLES or 25,
            stateful_step_count=6,
            deadline=None,
            derandomize=EXAMPLES == 0,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
    )
    one = "/api/v1/conversations/{conversation_id}"
    assert {("POST", f"{one}/messages", 200), ("GET", f"{one}/export", 200), ("DELETE", one, 204)} <= reached


@EVERYTHING.exclude(path_regex="^/api").parametrize()
def test_pages_for_nobody(case: schemathesis.Case, site: Site) -> None:
    ask(site, case, None, [not_a_server_error, unsupported_method, is_a_page])


@EVERYTHING.include(path_regex="^/api").parametrize()
def test_the_api_for_nobody(case: schemathesis.Case, site: Site) -> None:
    ask(site, case, None, [*API_CHECKS, negative_data_rejection, ignored_auth])


@pytest.mark.parametrize("role", ["operator", "editor"])
@FOR_STAFF.include(path_regex="^/api/v1/console/").exclude(path_regex=STREAMS).parametrize()
def test_the_consoles_api_for_staff(case: schemathesis.Case, site: Site, role: str) -> None:
    key = (role, case.operation.label)
    if key not in site.callers:
        headers, own = site.do(employ_with_a_conversation(site.services, role))
        site.callers[key] = Caller(headers, own)
    ask(site, case, site.callers[key], API_CHECKS)


@EVERYTHING.include(path_regex="^/api/v1/conversations/").exclude(path_regex=STREAMS).parametrize()
def test_the_api_for_a_person_with_a_conversation(case: schemathesis.Case, site: Site) -> None:
    ask(site, case, caller_for(site, case, "person"), API_CHECKS)


@PAGES.exclude(path_regex=STREAMS).exclude(path_regex="^/(admin|account|console|sign)").parametrize()
def test_pages_for_a_person_with_a_conversation(case: schemathesis.Case, site: Site) -> None:
    ask(site, case, caller_for(site, case, "person"), [not_a_server_error, is_a_page])


# Only these look at who is signed in; everything else answers staff as it answers nobody.
@pytest.mark.parametrize("role", STAFF)
@PAGES.include(path_regex="^/(account|admin|console|sign-out)").exclude(path_regex=STREAMS).parametrize()
def test_pages_for_staff(case: schemathesis.Case, site: Site, role: str) -> None:
    ask(site, case, caller_for(site, case, role), [not_a_server_error, is_a_page])


@pytest.mark.parametrize("role", [role for role in STAFF if role not in CONSOLE])
@PAGES.include(path_regex=STREAMS).parametrize()
def test_streams_for_staff_who_may_not_read_them(case: schemathesis.Case, site: Site, role: str) -> None:
    ask(site, case, caller_for(site, case, role), [not_a_server_error, is_a_page])
