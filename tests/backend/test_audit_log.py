"""Administrators' pages of who is signed in and what was done, and the download."""

import csv
import io
import re
from uuid import uuid4

from sqlalchemy import select

from backend import audit
from backend.audit_log import PAGE
from backend.models import StaffSession
from backend.services import Services
from tests.staff import (
    Browsers,
    events_about,
    make_account,
    make_organisation,
    make_staff,
    sign_in,
)

HOSTILE = "<script>alert(1)</script>&\"'"


async def test_sessions_are_listed_and_ended_by_who_may(open_browser: Browsers, services: Services) -> None:
    organisation = await make_organisation(services)
    here = await open_browser("administrator", organisation=organisation)
    other = await open_browser("auditor", organisation=organisation, name="Dora")
    await sign_in(services, other.login.account_id, browser=HOSTILE)
    stranger = await make_staff(services, "operator", organisation=await make_organisation(services))
    page = (await here.get("/admin/sessions")).text
    assert page.count("Dora") >= 2
    assert "This session" in page
    assert "<script>alert" not in page

    async with services.sessions.begin() as session:
        query = select(StaffSession.id).where(StaffSession.account_id == other.login.account_id)
        ids = list((await session.execute(query.order_by(StaffSession.created_at))).scalars())
        theirs = select(StaffSession.id).where(StaffSession.account_id == stranger.account_id)
        foreign = (await session.execute(theirs)).scalar_one()
    one = f"/admin/people/{other.login.account_id}/sessions"
    assert (await here.post(f"{one}/{foreign}/end")).status_code == 404
    assert (await other.post(f"{one}/{ids[1]}/end")).status_code == 403, "an auditor changes nothing here"
    ended = await here.post(f"{one}/{ids[0]}/end", back="sessions")
    assert ended.headers["location"] == "/admin/sessions?done=saved"
    assert (await other.get("/admin/people")).status_code == 303, "to the sign-in"
    assert (await here.post(f"{one}/{ids[0]}/end")).status_code == 404
    assert (await here.post(f"{one}/not-an-id/end")).status_code == 422
    assert ("session.ended", here.login.account_id, organisation) in await events_about(
        services, other.login.account_id
    )


# --- the log ---


async def test_the_log_speaks_in_words_and_rome_time_and_is_filtered(
    open_browser: Browsers, services: Services
) -> None:
    organisation = await make_organisation(services)
    here = await open_browser("administrator", organisation=organisation, name="Log Reader")
    person = await make_staff(services, "operator", organisation=organisation, name="Log Subject")
    async with services.sessions.begin() as session:
        account = here.login.account_id
        await audit.record(session, "desk.changed", "desk:1", account_id=account, organisation_id=organisation)
        await audit.record(session, "never.heard", "<b>:1", account_id=None, organisation_id=organisation, role=HOSTILE)
        subject = f"account:{person.account_id}"
        await audit.record(session, "account.enabled", subject, account_id=None, organisation_id=organisation)
        await audit.record(session, "account.added", subject, account_id=None, organisation_id=None)
    page = (await here.get("/admin/audit")).text
    body = page[page.index("<tbody") :]
    assert body.index("Access enabled again") < body.index("never.heard") < body.index("Desk changed")
    assert "The program" in body
    assert "Log Subject" in body
    assert "<b>:1" not in body
    assert "Person added" not in body, "what concerns no organisation is for the whole service"

    by_person = (await here.get("/admin/audit", person=str(person.account_id))).text
    assert "never.heard" not in by_person[by_person.index("<tbody") :]
    assert "Access enabled again" in by_person[by_person.index("<tbody") :]
    by_action = (await here.get("/admin/audit", action="never.heard")).text
    assert "Desk changed" not in by_action[by_action.index("<tbody") :]
    for wrong in ({"person": "x"}, {"person": str(uuid4())}, {"action": "nope\x00"}, {"before": "1"}):
        response = await here.get("/admin/audit", **wrong)
        assert response.status_code == 200
        assert "No events." in response.text


async def test_older_events_are_on_the_next_page(open_browser: Browsers, services: Services) -> None:
    organisation = await make_organisation(services)
    here = await open_browser("auditor", organisation=organisation)
    async with services.sessions.begin() as session:
        for number in range(PAGE + 1):
            await audit.record(
                session, "desk.changed", f"desk:x{number:03}", account_id=None, organisation_id=organisation
            )
    first = (await here.get("/admin/audit")).text
    assert "desk:x050" in first
    assert "desk:x000" not in first
    older = re.search(r'href="(/admin/audit\?before=\d+)"', first)
    assert older
    second = (await here.get(older[1])).text
    assert "desk:x000" in second
    assert "desk:x001" not in second
    for wrong in ("0", "x", "9" * 30):
        assert (await here.get("/admin/audit", before=wrong)).status_code == 422


async def test_the_download_starts_no_formula_and_holds_only_what_may_be_read(
    open_browser: Browsers, services: Services
) -> None:
    organisation = await make_organisation(services)
    here = await open_browser("auditor", organisation=organisation)
    formula = await make_account(services, "=HYPERLINK(1)")
    async with services.sessions.begin() as session:
        for subject in ("+1", "-1", "@x", "\tx", "plain"):
            await audit.record(session, "=cmd", subject, account_id=formula, organisation_id=organisation)
        await audit.record(session, "desk.changed", "secret", account_id=None, organisation_id=None)
    response = await here.get("/admin/audit.csv")
    assert response.headers["content-type"].startswith("text/csv")
    assert "attachment" in response.headers["content-disposition"]
    rows = list(csv.reader(io.StringIO(response.content.decode("utf-8-sig"), newline="")))
    assert len(rows) == 6
    cells = [cell for row in rows[1:] for cell in row]
    assert {"'+1", "'-1", "'@x", "'\tx", "plain", "'=cmd", "'=HYPERLINK(1)"} <= set(cells)
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t"))]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+0[12]:00", rows[1][1])
    assert len((await here.get("/admin/audit.csv", action="nothing")).text.splitlines()) == 1
