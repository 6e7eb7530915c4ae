"""What a desk may know of itself, and of nobody."""

import html
import statistics
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from backend.access import Role, Staff
from backend.conversations import erase_conversation, open_conversation
from backend.errors import Forbidden
from backend.figures import FEWEST, Figures, Group, Numbers, _shown, read_figures
from backend.services import Services
from backend.web.console_figures import took
from bot.phrases import SPOKEN, say
from tests.handovers import put_at_desk
from tests.staff import browsers, make_account, make_desk, make_organisation, make_staff

NOW = datetime.now(UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Desk:
    """One desk, the operator who looks, and people who come to it."""

    def __init__(self, services: Services, organisation: int, desk: int, staff: Staff) -> None:
        self.services, self.organisation, self.id, self.staff = services, organisation, desk, staff

    async def come(self, state: str = "CLOSED", *, desk: int | None = None, **values: Any) -> Any:
        opened = await open_conversation(self.services.sessions, channel="api", language="it")
        values = {"asked_at": NOW - HOUR, "first_promise": None} | values
        holder = self.staff.account_id if state in ("ACTIVE", "CLOSED") and desk is None else None
        await put_at_desk(self.services, opened.id, desk or self.id, state, holder=holder, **values)
        return opened

    async def look(self, days: int = 30) -> Figures:
        async with self.services.sessions.begin() as session:
            return await read_figures(session, self.staff, days=days, now=NOW)


def staff_of(account_id: Any, role: str, organisation: int | None, desk: int | None = None) -> Staff:
    roles = (Role(role, organisation, desk),)
    return Staff(account_id, account_id, "Operatrice", "o@elp.test", "en", second_factor=False, roles=roles)


@pytest.fixture
async def desk(services: Services) -> Desk:
    organisation = await make_organisation(services)
    desk = await make_desk(services, organisation, "Sportello")
    account_id = (await make_staff(services, "operator", organisation=organisation)).account_id
    return Desk(services, organisation, desk, staff_of(account_id, "operator", organisation))


def numbers(group: Group) -> Numbers:
    assert group.numbers is not None
    return group.numbers


async def test_waits_are_the_median_and_the_ninth_of_ten_of_first_replies(desk: Desk) -> None:
    waits = [5, 10, 15, 20, 600]
    for minutes in waits:
        await desk.come(first_reply_at=NOW - HOUR + minutes * MINUTE)
    await desk.come("WAITING")
    found = numbers((await desk.look()).all)
    assert (found.asked, found.answered, found.resolved) == (6, 5, 5)
    assert found.median_s == statistics.median(waits) * 60
    assert found.ninth_s == pytest.approx((20 + 0.6 * 580) * 60)


async def test_who_waits_and_who_is_being_answered_now_whenever_they_asked(desk: Desk) -> None:
    for _ in range(2):
        await desk.come("WAITING", asked_at=NOW - 200 * DAY)
    await desk.come("ACTIVE")
    found = await desk.look(days=7)
    assert (found.waiting, found.active) == (2, 1)
    assert found.all.hidden == "few"


@pytest.mark.parametrize(
    "state, values, promised, kept",
    [
        ("CLOSED", {"first_promise": NOW, "first_reply_at": NOW}, 1, 1),
        ("CLOSED", {"first_promise": NOW - MINUTE, "first_reply_at": NOW}, 1, 0),
        ("CLOSED", {"first_promise": NOW, "first_reply_at": NOW - MINUTE, "broken": 1}, 1, 0),
        ("CLOSED", {"first_promise": None, "first_reply_at": NOW}, 0, 0),
        ("WAITING", {"first_promise": NOW + HOUR}, 0, 0),
        ("WAITING", {"first_promise": NOW - MINUTE}, 1, 0),
        ("WAITING", {"first_promise": NOW + HOUR, "broken": 2}, 1, 0),
        ("UNREACHABLE", {"first_promise": NOW + HOUR}, 0, 0),
        ("CLOSED", {"first_promise": NOW, "first_reply_at": NOW, "reason": "reopened"}, 0, 0),
    ],
)
async def test_a_promise_is_kept_when_the_first_one_was_and_counts_when_that_is_known(
    desk: Desk, state: str, values: dict[str, Any], promised: int, kept: int
) -> None:
    for _ in range(FEWEST):
        await desk.come(state, **values)
    found = numbers((await desk.look()).all)
    assert (found.promised, found.kept) == (FEWEST * promised, FEWEST * kept)
    assert found.kept_share == (kept if promised else None)


async def test_what_became_of_them(desk: Desk) -> None:
    for helped in (True, True, False, None):
        await desk.come(helped=helped)
    opened = await desk.come("WAITING")
    await put_at_desk(desk.services, opened.id, desk.id, "WAITING", asked_at=NOW - HOUR)  # asks for the second time
    found = numbers((await desk.look()).all)
    assert (found.helped, found.not_helped, found.resolved, found.back_to_bot) == (2, 1, 4, 1)
    assert (found.conversations, found.asked) == (5, 6)


async def test_a_period_begins_where_it_says(desk: Desk) -> None:
    for days in (1, 6.9, 7.1, 29.9, 30.1, 89.9, 90.1):
        await desk.come(asked_at=NOW - days * DAY)
    for days, count in ((30, 4), (90, 6)):
        assert numbers((await desk.look(days)).all).asked == count
    assert (await desk.look(7)).all.hidden == "few"


async def test_of_fewer_than_three_nothing_is_said_and_nothing_can_be_worked_out(desk: Desk) -> None:
    for language, count in (("it", 5), ("ar", 4), ("sq", 2)):
        for _ in range(count):
            await desk.come(language=language, topic="lavoro", helped=False)
    found = await desk.look()
    languages = {group.key: group for group in found.languages}
    assert [group.key for group in found.languages] == ["it", "ar", "sq"]
    assert languages["sq"].numbers is None
    assert languages["sq"].hidden == "few"
    # 11 in all, 5 of them Italian: with the 4 in Arabic the others would be known.
    assert languages["ar"].numbers is None
    assert languages["ar"].hidden == "beside"
    assert numbers(languages["it"]).not_helped == 5
    (topic,) = found.topics
    assert (topic.key, numbers(topic).conversations) == ("lavoro", 11)


async def test_the_same_person_three_times_is_still_one_person(desk: Desk) -> None:
    opened = await desk.come("WAITING", topic="salute")
    for _ in range(4):
        await put_at_desk(desk.services, opened.id, desk.id, "WAITING", topic="salute", asked_at=NOW - HOUR)
    assert (await desk.look()).all.hidden == "few"


async def test_only_ones_own_desks_count(services: Services, desk: Desk) -> None:
    elsewhere = await make_desk(services, desk.organisation, "Altro")
    stranger = await make_desk(services, await make_organisation(services))
    for _ in range(3):
        await desk.come(first_reply_at=NOW)
        await desk.come("WAITING", desk=elsewhere)
        await desk.come("WAITING", desk=stranger)
    found = await desk.look()
    assert [(group.name, numbers(group).asked) for group in found.desks] == [("Altro", 3), ("Sportello", 3)]
    assert found.waiting == 3
    desk.staff = staff_of(desk.staff.account_id, "desk_manager", desk.organisation, desk.id)
    only = await desk.look()
    assert [group.name for group in only.desks] == ["Sportello"]
    assert (only.waiting, numbers(only.all).asked) == (0, 3)


@pytest.mark.parametrize("role", ["editor", "administrator", "auditor"])
async def test_who_answers_nobody_sees_no_figures(services: Services, desk: Desk, role: str) -> None:
    desk.staff = staff_of(await make_account(services), role, None if role != "editor" else desk.organisation)
    with pytest.raises(Forbidden):
        await desk.look()


async def test_what_was_erased_is_not_counted(services: Services, desk: Desk) -> None:
    opened = [await desk.come() for _ in range(4)]
    assert numbers((await desk.look()).all).asked == 4
    await erase_conversation(services.sessions, opened[0].id, opened[0].token)
    assert numbers((await desk.look()).all).asked == 3


async def test_a_new_desk_has_no_figures_and_says_so(app: FastAPI, services: Services, desk: Desk) -> None:
    found = await desk.look()
    assert numbers(found.all).asked == 0
    assert numbers(found.all).median_s is None
    assert found.desks == found.languages == found.topics == ()
    async with browsers(app) as opened:
        somebody = await opened("operator", organisation=desk.organisation, desk=desk.id)
        page = html.unescape((await somebody.get("/console/figures")).text)
        assert page.count(say("en", "console.figures.none")) == 3


@pytest.mark.parametrize("days, chosen", [("7", 7), ("90", 90), ("", 30), ("31", 30), ("²", 30), ("-7", 30)])
async def test_the_page_shows_the_period_that_was_asked_for(app: FastAPI, desk: Desk, days: str, chosen: int) -> None:
    async with browsers(app) as opened:
        somebody = await opened("desk_manager", organisation=desk.organisation)
        page = html.unescape((await somebody.get("/console/figures", days=days)).text)
        assert f'days={chosen}" aria-current="true"' in page


async def test_the_page_says_it_in_every_language(services: Services, app: FastAPI, desk: Desk) -> None:
    for language, count in (("it", 4), ("ar", 3), ("sq", 1)):
        for _ in range(count):
            values = {"first_promise": NOW, "first_reply_at": NOW - 40 * MINUTE, "helped": True}
            await desk.come(language=language, topic="lavoro" if count > 1 else None, **values)
    async with browsers(app) as opened:
        somebody = await opened("operator", organisation=desk.organisation)
        for language, one in SPOKEN.items():
            response = await somebody.get("/console/figures", language=language)
            page = html.unescape(response.text)
            assert f'dir="{one.direction}"' in page
            assert say(language, "console.figures.few", count=3) in page
            assert say(language, "console.figures.no_topic") in page
            assert "<meter" in page
            assert "console.figures." not in page


@given(seconds=st.floats(min_value=0, max_value=10**8), language=st.sampled_from(sorted(SPOKEN)))
def test_every_wait_can_be_said(seconds: float, language: str) -> None:
    assert any(sign.isdigit() for sign in took(language, seconds))


def test_waits_are_as_exact_as_one_wants_to_know_them() -> None:
    said = [took("en", seconds) for seconds in (0, 59, 3600, 2 * 3600, 36 * 3600, 5 * 86400)]
    assert said == ["1 min", "1 min", "60 min", "2 hr", "36 hr", "5 days"]


@given(st.lists(st.integers(min_value=1, max_value=8), max_size=8))
def test_no_hidden_group_can_be_worked_out_from_the_sum(sizes: list[int]) -> None:
    def group(place: int, size: int) -> Group:
        some = Numbers(size, size, 0, None, None, 0, 0, 0, 0, 0, 0)
        return Group(str(place), "", some) if size >= FEWEST else Group(str(place), "", None, "few")

    shown = _shown(group(place, size) for place, size in enumerate(sizes))
    hidden = [one for one in shown if one.numbers is None]
    assert len(shown) == len(sizes)
    assert len(hidden) != 1 or len(sizes) == 1
    assert {int(one.key) for one in hidden} >= {place for place, size in enumerate(sizes) if size < FEWEST}
