"""Every route, asked by everybody, on their own things and on others': compared with the table in docs/access.md."""

import asyncio
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import Range

from backend.config import ROOT
from backend.conversations import Opened, open_conversation
from backend.models import (
    Appointment,
    AppointmentKind,
    Attachment,
    ConsoleKey,
    Desk,
    Message,
    Note,
    OpeningPeriod,
    Passkey,
    Resource,
    SavedReply,
    StaffSession,
)
from backend.services import Services
from backend.tokens import new_token, secret_hash
from tests.handovers import put_at_desk
from tests.staff import (
    FORM,
    StaffLogin,
    add_key,
    give_role,
    make_account,
    make_desk,
    make_organisation,
    make_staff,
    sign_in,
)

TABLE = ROOT / "docs" / "access.md"
WHO = (
    "nobody",
    "person",
    "operator",
    "editor",
    "desk manager",
    "administrator",
    "administrator of all",
    "auditor",
)
DESK_ROLES = ("operator", "desk manager")
PUBLIC_FILES = "/static"
FIELDS = {
    "name": "Somebody",
    "email": "{new}@elp.test",
    "language": "it",
    "role": "operator",
    "text": "ciao",
    "draft": "",
    "place": "",
}
JSON = {
    "/api/v1/conversations": {"language": "it"},
    "/api/v1/conversations/{conversation_id}/messages": {"client_message_id": "new", "text": "ciao"},
    "/api/v1/appointments/{appointment_id}": {"start": "2026-01-01T10:00:00Z"},
}
CONSOLE = "/api/v1/console"
"""Staff send a key there."""
CONSOLE_JSON: dict[str, Any] = {
    "transfer": {"desk": 1},
    "promise": {"at": (datetime.now(UTC) + timedelta(days=3)).isoformat()},
    "reply": {"client_message_id": "new", "text": "ciao"},
    "preview": {"text": "ciao"},
    "notes": {"text": "ciao"},
    "presence": {"on_duty": True},
}


@dataclass
class Asker:
    """Somebody of the table with what is theirs, and with what is not."""

    who: str
    headers: dict[str, str] = field(default_factory=dict)
    login: StaffLogin | None = None
    key: str = ""
    opened: Opened | None = None
    organisations: tuple[int, int] = (0, 0)
    """Their own, and another."""
    desks: tuple[int, int] = (0, 0)


def routes(app: FastAPI) -> list[tuple[str, str]]:
    found = []
    for context in iter_route_contexts(app.routes):
        path = getattr(context, "path", None) or context.route.path
        methods = getattr(context, "methods", None) or getattr(context.route, "methods", None) or {"GET"}
        found += [(method, path) for method in sorted(methods - {"HEAD"})]
    return [route for route in found if route[1] != PUBLIC_FILES]


def table() -> dict[tuple[str, str], dict[str, str]]:
    """The rows of the table; a cell is what happens with one's own thing, then with somebody else's when it differs."""
    rows = {}
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        match = re.match(r"\| `([A-Z]+) (\S+)` \|(.*)\|$", line)
        if match:
            cells = [cell.strip() for cell in match[3].split("|")]
            rows[match[1], match[2]] = dict(zip(WHO, cells, strict=True))
    return rows


async def make_asker(services: Services, who: str) -> Asker:
    own, other = await make_organisation(services), await make_organisation(services)
    desk, elsewhere = await make_desk(services, own), await make_desk(services, other)
    if who in DESK_ROLES:  # the harder case: another desk of the same organisation
        elsewhere = await make_desk(services, own)
    asker = Asker(who, dict(FORM), organisations=(own, other), desks=(desk, elsewhere))
    if who == "nobody":
        return asker
    if who == "person":
        asker.opened = await open_conversation(services.sessions, channel="web", language="it")
        token = f"{asker.opened.id}.{asker.opened.token}"
        asker.headers |= {"cookie": f"elp_chat={token}; __Host-elp_chat_embedded={token}"}
        asker.headers |= {"authorization": f"Bearer {asker.opened.token}"}
        return asker
    role = who.removesuffix(" of all").replace(" ", "_")
    everywhere = who.endswith("of all")
    asker.login = await make_staff(
        services, role, organisation=None if everywhere else own, desk=desk if who in DESK_ROLES else None
    )
    asker.headers |= {"cookie": "; ".join(f"{name}={value}" for name, value in asker.login.cookies.items())}
    asker.key = await add_key(services, asker.login.account_id)
    return asker


async def make_target(services: Services, asker: Asker, path: str, *, own: bool) -> dict[str, Any]:
    """Fresh things for every request that names some, because some requests delete them."""
    which = 0 if own else 1
    target = {"entry_id": "sportello-elp" if own else "nothing", "organisation_id": asker.organisations[which]}
    if "{desk_id}" in path:
        target["desk_id"] = await make_desk(services, asker.organisations[which])
    if path.startswith(("/console/desks/", "/console/calendar/")):
        target |= await make_desk_things(services, asker.desks[which], with_period="{period_id}" in path)
    if "{conversation_id}" in path or "{attachment_id}" in path:
        target |= await make_conversation(services, asker, own=own)
    if "{appointment_id}" in path:
        target["appointment_id"] = await make_visit(services, target) if "desk_id" in target else uuid4()
    if path.startswith(("/visits/", "/embed/visits/")) and asker.opened and own:
        things = await make_desk_things(services, asker.desks[0])
        mine = {"conversation_id": asker.opened.id, "name": "Amina"}
        target["appointment_id"] = await make_visit(services, things, **mine)
    if "{secret}" in path:
        target["secret"] = await make_feed(services, asker.desks[0]) if own else "nothing"
    if "{note_id}" in path:
        target["note_id"] = await make_note(services, asker, target["conversation_id"])
    if any(name in path for name in ("{key_id}", "{account_id}", "{session_id}", "{passkey_id}", "{token}")):
        target |= await make_member(services, asker, path, own=own)
    return target


async def make_desk_things(services: Services, desk: int, *, with_period: bool = False) -> dict[str, Any]:
    """Several may be made at once for one desk, but no two periods at the same hours."""
    period = OpeningPeriod(desk_id=desk, weekday=6, opens=time(9), closes=time(10))
    reply = SavedReply(desk_id=desk, name=uuid4().hex, texts={"it": "Ciao"})
    kind = AppointmentKind(desk_id=desk, names={"it": "Colloquio"}, minutes=30)
    resource = Resource(desk_id=desk, kind="staff", name="Anna")
    async with services.sessions.begin() as session:
        session.add_all([reply, kind, resource])
        if with_period:
            await session.execute(select(Desk.id).where(Desk.id == desk).with_for_update())
            await session.execute(delete(OpeningPeriod).where(OpeningPeriod.desk_id == desk))
            session.add(period)
    made: dict[str, Any] = {"reply_id": reply.id, "kind_id": kind.id, "resource_id": resource.id}
    made["period_id"] = period.id
    return {"desk_id": desk} | made


async def make_visit(services: Services, target: dict[str, Any], **more: Any) -> UUID:
    starts = datetime.now(UTC) + timedelta(days=1)
    span = {"starts": starts, "ends": starts + timedelta(minutes=30)}
    where = {name: target[name] for name in ("desk_id", "kind_id", "resource_id")}
    made = uuid4()
    values = {"id": made, "uid": f"{made}@elp", "code": made.hex, "token_hash": made.bytes, "language": "it"}
    visit = Appointment(**where, **span, **values, **more, status="confirmed", blocked=Range(*span.values()))
    async with services.sessions.begin() as session:
        session.add(visit)
    return made


async def make_feed(services: Services, desk: int) -> str:
    secret = new_token()
    async with services.sessions.begin() as session:
        await session.execute(update(Desk).where(Desk.id == desk).values(feed_hash=secret_hash(secret)))
    return secret


async def make_conversation(services: Services, asker: Asker, *, own: bool) -> dict[str, Any]:
    """With a message and a file; at a desk, for those who work at one."""
    opened = asker.opened if own and asker.opened else None
    opened = opened or await open_conversation(services.sessions, channel="web", language="it")
    message = Message(conversation_id=opened.id, author="person", language="it", text="aiuto")
    async with services.sessions.begin() as session:
        session.add(message)
        await session.flush()
        attachment = Attachment(message_id=message.id, kind="pdf", media_type="application/pdf", size=1, data=b"%")
        session.add(attachment)
        await session.flush()
    if asker.opened is None:
        await put_at_desk(services, opened.id, asker.desks[0 if own else 1])
    return {"conversation_id": opened.id, "message_id": message.id, "attachment_id": attachment.id}


async def make_note(services: Services, asker: Asker, conversation: UUID) -> int:
    note = Note(conversation_id=conversation, account_id=asker.login.account_id if asker.login else None, text="ciao")
    async with services.sessions.begin() as session:
        session.add(note)
    return note.id


async def make_member(services: Services, asker: Asker, path: str, *, own: bool) -> dict[str, Any]:
    """Somebody of the organisation; of one's own account page, the asker."""
    organisation = asker.organisations[0 if own else 1]
    member = await make_account(services)
    membership = await give_role(services, member, "editor", organisation=organisation)
    holder = asker.login.account_id if path.startswith("/account") and own and asker.login else member
    await sign_in(services, holder, browser="elsewhere")
    passkey = uuid4().bytes
    async with services.sessions.begin() as session:
        session.add(Passkey(id=passkey, account_id=holder, name="key", public_key=b"k", sign_count=0))
        query = select(StaffSession.id).where(StaffSession.account_id == holder, StaffSession.browser == "elsewhere")
        found = (await session.execute(query.limit(1))).scalar_one()
        key = ConsoleKey(account_id=holder, name="key", key_hash=uuid4().bytes, expires_at=datetime.now(UTC))
        session.add(key)
    return {
        "key_id": key.id,
        "account_id": member,
        "membership_id": membership,
        "session_id": found,
        "passkey_id": passkey_name(passkey),
        "token": await make_link(services, member) if own else "nothing",
    }


def passkey_name(passkey: bytes) -> str:
    from webauthn.helpers import bytes_to_base64url

    return bytes_to_base64url(passkey)


async def make_link(services: Services, account_id: UUID) -> str:
    from backend.accounts import new_link

    async with services.sessions.begin() as session:
        return await new_link(session, account_id)


async def ask(client: httpx.AsyncClient, asker: Asker, method: str, path: str, target: dict[str, Any]) -> str:
    address = path.format(**target)
    form = {key: value.format(new=uuid4().hex) for key, value in FIELDS.items()}
    sent: dict[str, Any] = {}
    if path.endswith("/attachments") and method == "POST":
        sent = {"data": {"client_message_id": uuid4().hex}, "files": {"file": ("letter.pdf", b"%PDF-1.4\n%%EOF\n")}}
    elif path in JSON and method in ("POST", "PATCH"):
        sent = {"json": JSON[path]}
    elif path.startswith(CONSOLE) and method == "POST":
        sent = {"json": CONSOLE_JSON.get(path.rpartition("/")[2])}
    elif "passkey" in path and not path.endswith("delete") and method == "POST":
        sent = {"json": {}}
    elif method == "POST":
        form |= {"place": f"organisation:{target['organisation_id']}"}
        sent = {"data": form}
    client.cookies.clear()
    headers = asker.headers | ({"authorization": f"Bearer {asker.key}"} if asker.key and CONSOLE in path else {})
    request = client.request(method, address, headers=headers, **sent)
    try:
        response = await asyncio.wait_for(request, 2 if path.endswith("/events") else 20)
    except TimeoutError:
        return "yes"  # an event stream that goes on
    assert response.status_code < 500, f"{method} {path} as {asker.who}: {response.status_code}"
    if response.status_code == 401 or (
        response.status_code == 303 and response.headers["location"].startswith("/sign-in") and "sign" not in path
    ):
        return "sign in"
    return {403: "no", 404: "hidden"}.get(response.status_code, "yes")


async def cell(client: httpx.AsyncClient, services: Services, reader: Asker, method: str, path: str) -> str:
    """`reader` asks for pages, which change nothing; whatever else is asked for may end who asks."""
    outcomes = []
    for own in (True, False) if "{" in path else (True,):
        asker = reader if method == "GET" else await make_asker(services, reader.who)
        target = await make_target(services, asker, path, own=own)
        outcomes.append(await ask(client, asker, method, path, target))
    return " / ".join(dict.fromkeys(outcomes))


def test_every_route_has_a_row_and_every_row_a_route(app: FastAPI) -> None:
    assert sorted(table()) == sorted(routes(app))


@pytest.mark.parametrize("who", WHO)
async def test_everybody_may_do_what_the_table_says_and_nothing_else(
    services: Services, app: FastAPI, who: str
) -> None:
    said, reader, few = table(), await make_asker(services, who), asyncio.Semaphore(4)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)

    async def found(method: str, path: str) -> str:
        async with few, httpx.AsyncClient(transport=transport, base_url="http://elp.test", trust_env=False) as client:
            return await cell(client, services, reader, method, path)

    asked = routes(app)
    wrong = {}
    for (method, path), outcome in zip(asked, await asyncio.gather(*(found(*one) for one in asked)), strict=True):
        expected = said.get((method, path), {}).get(who)
        if outcome != expected:
            wrong[f"{method} {path}"] = f"the table says {expected!r}, the service {outcome!r}"
    assert not wrong
