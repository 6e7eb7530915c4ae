"""Open or closed, across midnight, clock changes and holidays."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from knowledge_base.entry import Facts
from knowledge_base.opening import opening

ROME = ZoneInfo("Europe/Rome")
OFFICE = Facts.model_validate(
    {
        "schedule": [
            {"days": ["tue"], "opens": "09:00", "closes": "12:00"},
            {"days": ["thu"], "opens": "14:00", "closes": "17:30"},
        ]
    }
)
NIGHT = Facts.model_validate(
    {"schedule": [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "opens": "18:00", "closes": "08:00"}]}
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ROME)


@pytest.mark.parametrize(
    "now, is_open, changes",
    [
        ("2026-11-24T08:59", False, "2026-11-24T09:00"),
        ("2026-11-24T09:00", True, "2026-11-24T12:00"),
        ("2026-11-24T12:00", False, "2026-11-26T14:00"),
        ("2026-11-26T17:30", False, "2026-12-01T09:00"),
        ("2026-11-28T10:00", False, "2026-12-01T09:00"),
    ],
)
def test_an_office_with_two_half_days(now: str, is_open: bool, changes: str) -> None:
    state = opening(OFFICE, at(now))
    assert state is not None
    assert (state.open_now, state.changes_at) == (is_open, at(changes))


@pytest.mark.parametrize(
    "now, is_open", [("2026-11-24T23:30", True), ("2026-11-25T07:59", True), ("2026-11-25T08:00", False)]
)
def test_a_night_shelter_is_open_past_midnight(now: str, is_open: bool) -> None:
    state = opening(NIGHT, at(now))
    assert state is not None
    assert state.open_now is is_open


def test_the_hour_holds_on_the_days_the_clocks_change() -> None:
    for now in ("2026-03-29T18:00", "2026-10-25T18:00"):
        state = opening(NIGHT, at(now))
        assert state is not None
        assert state.open_now


def test_a_reader_in_another_zone_sees_the_offices_own_hours() -> None:
    state = opening(OFFICE, datetime(2026, 11, 24, 12, 30, tzinfo=ZoneInfo("Asia/Dhaka")))
    assert state is not None
    assert not state.open_now  # 07:30 in Ivrea
    assert state.changes_at == at("2026-11-24T09:00")


def test_a_holiday_is_marked() -> None:
    state = opening(OFFICE, at("2026-12-08T10:00"))
    assert state is not None
    assert state.holiday


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"schedule": [{"days": ["tue"]}]},
        {"schedule": [{"days": ["tue"], "opens": "09:00", "closes": "12:00", "where": "via Po 1"}]},
    ],
)
def test_what_is_not_known_is_not_told(facts: dict[str, object]) -> None:
    assert opening(Facts.model_validate(facts), at("2026-11-24T10:00")) is None


def test_a_line_that_never_closes_is_open() -> None:
    state = opening(Facts(always_open=True), at("2026-12-25T03:00"))
    assert state is not None
    assert state.open_now
