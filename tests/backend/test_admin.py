"""Administrators' pages through HTTP: people, roles, links, sessions, the log; who may do what, and who may not."""

import asyncio
import re
from dataclasses import replace
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import func, select, update

from backend.accounts import get_link
from backend.mail import MailNotSent
from backend.models import Account, AccountLink, Membership, Passkey, RecoveryCode, StaffSession
from backend.services import Services
from backend.web import admin
from tests.staff import (
    Browsers,
    events_about,
    give_role,
    make_account,
    make_desk,
    make_organisation,
    make_staff,
    role_id,
    sign_in,
)

HOSTILE = "<script>alert(1)</script>&\"'"
ARABIC = "فاطمة الزهراء"


async def count(services: Services, model: type, account_id: UUID) -> int:
    async with services.sessions.begin() as session:
        query = select(func.count()).select_from(model).where(model.account_id == account_id)
        return (await session.execute(query)).scalar_one()


# --- who may come in ---


@pytest.mark.parametrize("path", ["people", "people/new", "organisations", "sessions", "audit", "audit.csv"])
async def test_without_a_session_every_page_leads_to_the_sign_in(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(f"/admin/{path}")
    assert response.status_code == 303
    assert response.headers["location"].startswith("/sign-in")


@pytest.mark.parametrize("role", ["operator", "editor", "desk_manager"])
async def test_who_has_no_role_for_it_sees_none_of_the_pages(
    open_browser: Browsers, services: Services, role: str
) -> None:
    here = await open_browser(role, organisation=await make_organisation(services))
    for path in ("people", "people/new", "organisations", "sessions", "audit", "audit.csv"):
        assert (await here.get(f"/admin/{path}")).status_code == 403, path


async def test_an_auditor_reads_everything_and_changes_nothing(open_browser: Browsers, services: Services) -> None:
    organisation = await make_organisation(services)
    desk = await make_desk(services, organisation)
    here = await open_browser("auditor")
    person = await make_staff(services, "operator", organisation=organisation)
    one = f"/admin/people/{person.account_id}"
    for path in (
        "/admin/people",
        one,
        "/admin/organisations",
        f"/admin/desks/{desk}",
        "/admin/sessions",
        "/admin/audit",
    ):
        response = await here.get(path)
        assert response.status_code == 200, path
        forms = re.findall(r'<form[^>]*method="post"[^>]*action="([^"]*)"', response.text)
        assert forms == ["/sign-out"], f"{path} offers what is refused"
    changes = [f"{one}/{what}" for what in ("roles", "link", "disable", "enable", "reset-second-factor", "delete")]
    changes += [f"{one}/sessions/{uuid4()}/end", f"{one}/roles/1/remove", "/admin/people/new", "/admin/organisations"]
    changes += [f"/admin/organisations/{organisation}{end}" for end in ("", "/delete", "/desks")]
    changes += [f"/admin/desks/{desk}", f"/admin/desks/{desk}/delete"]
    for path in changes:
        form = {"role": "operator", "place": f"desk:{desk}", "name": "X", "email": "x@elp.test", "language": "it"}
        assert (await here.post(path, **form)).status_code == 403, path


async def test_a_form_of_another_site_is_refused(open_browser: Browsers, services: Services) -> None:
    here, person = await open_browser("administrator"), await make_account(services)
    headers = {"origin": "http://elsewhere.test", "sec-fetch-site": "cross-site"}
    response = await here.http.post(f"/admin/people/{person}/disable", headers=headers)
    assert response.status_code == 403
    assert await events_about(services, person) == []


async def test_people_of_another_organisation_are_not_there(open_browser: Browsers, services: Services) -> None:
    here = await open_browser("administrator", organisation=await make_organisation(services))
    other = await make_organisation(services)
    stranger = await make_staff(services, "operator", organisation=other, name="Stranger elsewhere")
    one = f"/admin/people/{stranger.account_id}"
    assert (await here.get(one)).status_code == 404
    for what in ("link", "disable", "enable", "reset-second-factor", "delete"):
        assert (await here.post(f"{one}/{what}")).status_code == 404, what
    membership = await role_id(services, stranger.account_id, "operator")
    assert (await here.post(f"{one}/roles/{membership}/remove")).status_code == 404
    assert (await here.post(f"{one}/roles", role="operator", place=f"organisation:{other}")).status_code == 404
    for path in ("/admin/people", "/admin/sessions", "/admin/audit"):
        assert "Stranger elsewhere" not in (await here.get(path)).text
    assert await events_about(services, stranger.account_id) == []


# --- the list ---


async def test_the_list_says_who_where_and_how_safe(open_browser: Browsers, services: Services) -> None:
    organisation = await make_organisation(services, f"Comune {uuid4()}")
    desk = await make_desk(services, organisation, "Front desk")
    here = await open_browser("administrator", organisation=organisation, name="Ada Admin")
    person = await make_staff(services, "operator", organisation=organisation, desk=desk, name="Bea Operator")
    async with services.sessions.begin() as session:
        await session.execute(
            update(Account)
            .where(Account.id == person.account_id)
            .values(totp_secret="S" * 16, disabled_at=func.now(), password_hash="x")
        )
    page = (await here.get("/admin/people")).text
    row = page[page.index("Bea Operator") :]
    assert "Operator (<bdi>Front desk</bdi>, <bdi>Comune" in row
    assert person.email in row
    assert "Disabled" in row
    assert ">Yes<" in row
    assert page.index("Ada Admin") < page.index("Bea Operator"), "by name"


async def test_the_search_takes_its_words_as_they_are(open_browser: Browsers, services: Services) -> None:
    organisation = await make_organisation(services)
    here = await open_browser("administrator", organisation=organisation)
    await make_staff(services, "operator", organisation=organisation, name="Per%cent Sign")
    await make_staff(services, "operator", organisation=organisation, name="Plain Name")
    page = (await here.get("/admin/people", q="%")).text
    assert "Per%cent Sign" in page
    assert "Plain Name" not in page
    assert "Plain Name" in (await here.get("/admin/people", q="pLAIN")).text
    assert "Nobody found" in (await here.get("/admin/people", q=HOSTILE)).text
    assert (await here.get("/admin/people", q="\x00")).status_code == 200


async def test_more_than_fifty_people_are_on_several_pages(open_browser: Browsers, services: Services) -> None:
    organisation = await make_organisation(services)
    here = await open_browser("administrator", organisation=organisation, name="AAA")
    for number in range(50):
        await give_role(services, await make_account(services, f"P{number:02}"), "operator", organisation=organisation)
    first, second = await here.get("/admin/people"), await here.get("/admin/people", page="2")
    assert "P48" in first.text
    assert "P49" not in first.text
    assert "page=2" in first.text
    assert "P49" in second.text
    assert "P48" not in second.text
    for wrong in ("0", "-1", "x", "99999999999999999999"):
        assert (await here.get("/admin/people", page=wrong)).status_code == 422


@pytest.mark.parametrize("name", [HOSTILE, ARABIC, "a" * 200, "\u202eevil", "=1+1"])
async def test_strange_names_are_shown_as_they_are_and_do_nothing(
    open_browser: Browsers, services: Services, name: str
) -> None:
    organisation = await make_organisation(services, f"{name} {uuid4()}")
    desk = await make_desk(services, organisation, name)
    here = await open_browser("administrator", organisation=organisation, name=name)
    await here.post(f"/admin/organisations/{organisation}/desks", name="Second", entry="")
    paths = ["people", f"people/{here.login.account_id}", "people/new", "organisations", f"desks/{desk}", "sessions"]
    for path in [*paths, "audit"]:
        response = await here.get(f"/admin/{path}")
        assert response.status_code == 200, path
        assert "<script>alert" not in response.text
    assert 'dir="auto">' in (await here.get("/admin/people")).text


# --- new people ---


async def test_a_new_person_gets_a_role_and_then_a_link_that_is_shown_once(
    open_browser: Browsers, services: Services
) -> None:
    organisation = await make_organisation(services)
    here = await open_browser("administrator", organisation=organisation)
    email = f"{uuid4().hex}@elp.test"
    form = {
        "name": ARABIC,
        "email": email,
        "language": "ar",
        "role": "operator",
        "place": f"organisation:{organisation}",
    }
    made = await here.post("/admin/people/new", **form)
    assert made.status_code == 303
    one = made.headers["location"].partition("?")[0]
    account_id = UUID(one.rpartition("/")[2])
    page = await here.get(made.headers["location"])
    assert ARABIC in page.text
    assert "Person added" in page.text

    answer = await here.post(f"{one}/link")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    link = re.search(r"http://[^<]*/link/[\w-]{43}", answer.text)
    assert link
    assert link[0] not in (await here.get(one)).text
    async with services.sessions.begin() as session:
        assert (await get_link(session, link[0].rpartition("/")[2])).account_id == account_id
    events = await events_about(services, account_id)
    assert events == [
        (action, here.login.account_id, organisation) for action in ("account.added", "role.added", "account.link_made")
    ]


@pytest.mark.parametrize(
    "change, status, words",
    [
        ({"email": "nobody"}, 422, None),
        ({"name": "  "}, 422, None),
        ({"name": "a" * 121}, 422, None),
        ({"language": "xx"}, 422, None),
        ({"role": "king"}, 422, None),
        ({"place": "desk:x"}, 422, None),
        ({"place": ""}, 422, None),
        ({"role": "editor", "place": "DESK"}, 422, "does not exist there"),
        ({"role": "operator", "place": "service"}, 403, None),
        ({"place": "organisation:999999999"}, 404, None),
        ({"place": "desk:999999999"}, 404, None),
    ],
)
async def test_what_is_wrong_with_a_new_person_is_said_and_the_rest_stays_typed(
    open_browser: Browsers, services: Services, change: dict[str, str], status: int, words: str | None
) -> None:
    organisation = await make_organisation(services)
    desk = await make_desk(services, organisation)
    here = await open_browser("administrator", organisation=organisation)
    email = f"{uuid4().hex}@elp.test"
    form = {"name": "Kept Name", "email": email, "language": "fr", "role": "operator"}
    form |= {"place": f"organisation:{organisation}"} | change
    response = await here.post(
        "/admin/people/new", **{key: value.replace("DESK", f"desk:{desk}") for key, value in form.items()}
    )
    assert response.status_code == status
    if status == 422:
        assert 'role="alert"' in response.text
        assert f'value="{form["email"]}"' in response.text
    if words:
        assert words in response.text
    async with services.sessions.begin() as session:
        assert (await session.execute(select(Account.id).where(Account.email == email))).one_or_none() is None


async def test_an_address_that_is_taken_is_said_also_when_two_come_at_once(
    open_browser: Browsers, services: Services
) -> None:
    organisation = await make_organisation(services)
    here = await open_browser("administrator", organisation=organisation)
    email = f"{uuid4().hex}@elp.test"
    form = {"name": "Twice", "language": "it", "role": "operator", "place": f"organisation:{organisation}"}
    answers = await asyncio.gather(
        here.post("/admin/people/new", email=email, **form), here.post("/admin/people/new", email=email.upper(), **form)
    )
    assert sorted(answer.status_code for answer in answers) == [303, 409]


async def test_a_link_is_mailed_where_mail_is_set_up_and_shown_when_that_fails(
    open_browser: Browsers, app: FastAPI, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[dict[str, str]] = []

    async def send_mail(settings: object, **mail: str) -> None:
        sent.append(mail)
        if len(sent) > 1:
            raise MailNotSent

    with_mail = services.settings.model_copy(
        update={"smtp_url": SecretStr("smtp://mail.test"), "mail_from": "a@elp.test"}
    )
    monkeypatch.setattr(admin, "send_mail", send_mail)
    monkeypatch.setitem(app.state._state, "services", replace(services, settings=with_mail))
    here = await open_browser("administrator")
    person = await make_account(services, "Chiara", language="it")
    first = await here.post(f"/admin/people/{person}/link")
    second = await here.post(f"/admin/people/{person}/link")
    link = re.search(r"http://[^<]*/link/[\w-]{43}", first.text)
    assert link
    assert link[0] in sent[0]["body"]
    assert sent[0]["body"].startswith("Ciao Chiara")
    assert "also sent by e-mail" in first.text
    assert "could not be sent" in second.text
    assert re.search(r"/link/[\w-]{43}", second.text)


# --- access ---


async def test_disabling_ends_sessions_and_links_and_enabling_lets_in_again(
    open_browser: Browsers, services: Services
) -> None:
    organisation = await make_organisation(services)
    here = await open_browser("administrator", organisation=organisation)
    other = await open_browser("auditor", organisation=organisation)
    account_id = other.login.account_id
    one = f"/admin/people/{account_id}"
    await here.post(f"{one}/link")
    assert (await here.post(f"{one}/disable")).status_code == 303
    assert (await other.get("/admin/people")).status_code == 303, "to the sign-in"
    assert await count(services, StaffSession, account_id) == 0
    assert await count(services, AccountLink, account_id) == 0
    assert "Disabled:" in (await here.get(one)).text
    assert (await here.post(f"{one}/link")).status_code == 409
    await here.post(f"{one}/disable")
    assert (await here.post(f"{one}/enable")).status_code == 303
    cookies = await sign_in(services, account_id)
    other.http.cookies.update(cookies)
    assert (await other.get("/admin/people")).status_code == 200
    actions = [event[0] for event in await events_about(services, account_id)]
    assert actions == ["account.link_made", "account.disabled", "account.enabled"], "the second time nothing happened"


async def test_a_lost_second_factor_is_taken_away_whole(open_browser: Browsers, services: Services) -> None:
    organisation = await make_organisation(services)
    here = await open_browser("administrator", organisation=organisation)
    person = await make_staff(services, "operator", organisation=organisation)
    async with services.sessions.begin() as session:
        found = await session.get_one(Account, person.account_id)
        found.totp_secret, found.totp_step = "S" * 16, 5
        session.add(RecoveryCode(account_id=person.account_id, code_hash=b"x"))
        session.add(Passkey(id=uuid4().bytes, account_id=person.account_id, name="K", public_key=b"k", sign_count=0))
    one = f"/admin/people/{person.account_id}"
    assert "Reset the second factor" in (await here.get(one)).text
    assert (await here.post(f"{one}/reset-second-factor")).status_code == 303
    async with services.sessions.begin() as session:
        found = await session.get_one(Account, person.account_id)
        assert (found.totp_secret, found.totp_step) == (None, None)
    for model in (RecoveryCode, Passkey, StaffSession):
        assert await count(services, model, person.account_id) == 0
    assert "Reset the second factor" not in (await here.get(one)).text
    assert (await events_about(services, person.account_id))[-1][0] == "account.second_factor_reset"


async def test_a_deleted_account_leaves_nothing_but_its_number_in_the_log(
    open_browser: Browsers, services: Services
) -> None:
    organisation = await make_organisation(services)
    here = await open_browser("administrator", organisation=organisation)
    person = await make_staff(services, "operator", organisation=organisation, name="Gone Forever")
    gone = await here.post(f"/admin/people/{person.account_id}/delete")
    assert gone.headers["location"] == "/admin/people?done=deleted"
    assert "Deleted." in (await here.get(gone.headers["location"])).text
    async with services.sessions.begin() as session:
        assert await session.get(Account, person.account_id) is None
    for model in (Membership, StaffSession):
        assert await count(services, model, person.account_id) == 0
    log = (await here.get("/admin/audit")).text
    assert "Gone Forever" not in log
    assert f"account:{person.account_id}" in log
    assert "Account deleted" in log
    assert (await here.post(f"/admin/people/{person.account_id}/delete")).status_code == 404


@pytest.mark.parametrize("language", ["it", "en", "fr", "ar"])
async def test_every_page_is_whole_in_every_language(open_browser: Browsers, services: Services, language: str) -> None:
    organisation = await make_organisation(services)
    desk = await make_desk(services, organisation)
    here = await open_browser("administrator")
    await give_role(services, here.login.account_id, "desk_manager", organisation=organisation, desk=desk)
    paths = ["people", "people/new", f"people/{here.login.account_id}", "organisations", f"desks/{desk}", "sessions"]
    for path in [*paths, "audit"]:
        page = (await here.get(f"/admin/{path}", language=language)).text
        assert f'<html lang="{language}"' in page
        assert not re.findall(r">\s*(?:admin|staff|role|error)\.[a-z_.]+", page), path
        assert page.count("aria-current") == 1, path
