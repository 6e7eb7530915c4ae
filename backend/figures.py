"""How a desk does: who waits, how long people waited, whether promises were kept. Numbers only, and none about few.

What was erased is not counted: with a conversation all that is known of its handovers goes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ARRAY, Integer, Row, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.access import Staff, desks_within

PERIODS = (7, 30, 90)
"""Days."""
FEWEST = 3
"""Conversations. Of fewer nothing is said: it could point to somebody."""


@dataclass(frozen=True, slots=True)
class Numbers:
    conversations: int
    asked: int
    """How often a person was asked for; not what the desk took up again itself."""
    answered: int
    """How many of these have had a first reply."""
    median_s: float | None
    """Of the wait for the first reply; with `ninth_s`, the 90th percentile. In seconds; None: nobody was answered."""
    ninth_s: float | None
    promised: int
    """Promises of which it is known by now whether they were kept."""
    kept: int
    """The first reply came in time, and no promise before it was broken."""
    resolved: int
    back_to_bot: int
    helped: int
    not_helped: int

    @property
    def kept_share(self) -> float | None:
        return self.kept / self.promised if self.promised else None


@dataclass(frozen=True, slots=True)
class Group:
    key: str
    """Id of the desk, code of the language or category of the topic; empty where no topic is known."""
    name: str
    """Of a desk; of the others the page knows the words."""
    numbers: Numbers | None
    """None: not shown."""
    hidden: Literal["no", "few", "beside"] = "no"
    """`few`: of too few people. `beside`: the only few could else be worked out from it."""


@dataclass(frozen=True, slots=True)
class Figures:
    days: int
    waiting: int
    active: int
    all: Group
    desks: tuple[Group, ...]
    languages: tuple[Group, ...]
    topics: tuple[Group, ...]


_NOW = text(
    """
    SELECT count(*) FILTER (WHERE c.state = 'WAITING') AS waiting, count(*) FILTER (WHERE c.state = 'ACTIVE') AS active
    FROM conversations c JOIN handovers h ON h.conversation_id = c.id AND h.closed_at IS NULL
    WHERE h.desk_id = ANY(:desks)
    """
).bindparams(bindparam("desks", type_=ARRAY(Integer)))
# Whether a promise was kept is known when the first reply is there, when it broke, or when its moment has passed while
# the person still waited; whoever went back to the bot before that is no broken promise.
_GROUPS = text(
    """
    WITH h AS (
        SELECT desk_id, language, topic, conversation_id, outcome, helped, reason <> 'reopened' AS asked,
            extract(epoch FROM first_reply_at - asked_at) AS wait_s,
            broken = 0 AND first_reply_at <= first_promise AS kept,
            (first_promise IS NOT NULL OR broken > 0) AND reason <> 'reopened'
                AND (broken > 0 OR first_reply_at IS NOT NULL OR first_promise < coalesce(closed_at, :now)) AS promised
        FROM handovers WHERE desk_id = ANY(:desks) AND asked_at >= :since AND asked_at <= :now
    )
    SELECT grouping(desk_id, language, topic) AS what, desk_id, language, topic,
        count(DISTINCT conversation_id) AS conversations,
        count(*) FILTER (WHERE asked) AS asked,
        count(*) FILTER (WHERE asked AND wait_s IS NOT NULL) AS answered,
        percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY wait_s) FILTER (WHERE asked) AS waits,
        count(*) FILTER (WHERE promised) AS promised,
        count(*) FILTER (WHERE promised AND kept) AS kept,
        count(*) FILTER (WHERE outcome = 'resolved') AS resolved,
        count(*) FILTER (WHERE outcome = 'back_to_bot') AS back_to_bot,
        count(*) FILTER (WHERE helped) AS helped,
        count(*) FILTER (WHERE NOT helped) AS not_helped
    FROM h GROUP BY GROUPING SETS ((), (desk_id), (language), (topic))
    """
).bindparams(bindparam("desks", type_=ARRAY(Integer)))
_DESK, _LANGUAGE, _TOPIC, _ALL = 0b011, 0b101, 0b110, 0b111
"""What GROUPING() says: a bit for each column that was *not* grouped by."""


async def read_figures(session: AsyncSession, staff: Staff, *, days: int, now: datetime) -> Figures:
    """Of one's own desks; `days` is one of `PERIODS`. Raises Forbidden."""
    names = dict(await desks_within(session, staff))
    values: dict[str, Any] = {"desks": list(names), "now": now, "since": now - timedelta(days=days)}
    waiting, active = (await session.execute(_NOW, {"desks": list(names)})).one()
    rows = (await session.execute(_GROUPS, values)).all()
    (everything,) = (row for row in rows if row.what == _ALL)
    return Figures(
        days,
        waiting,
        active,
        _group("", "", everything),
        _shown(_group(str(row.desk_id), names[row.desk_id], row) for row in rows if row.what == _DESK),
        _shown(_group(row.language, "", row) for row in rows if row.what == _LANGUAGE),
        _shown(_group(row.topic or "", "", row) for row in rows if row.what == _TOPIC),
    )


def _group(key: str, name: str, row: Row[Any]) -> Group:
    median, ninth = row.waits or (None, None)
    numbers = Numbers(
        row.conversations,
        row.asked,
        row.answered,
        median,
        ninth,
        row.promised,
        row.kept,
        row.resolved,
        row.back_to_bot,
        row.helped,
        row.not_helped,
    )
    if 0 < row.conversations < FEWEST:
        return Group(key, name, None, "few")
    return Group(key, name, numbers)


def _shown(groups: Iterable[Group]) -> tuple[Group, ...]:
    """The largest first. A single hidden group could be worked out from the sum, so the smallest of the others is
    hidden with it."""

    def size(group: Group) -> tuple[int, str, str]:
        return (-(group.numbers.conversations if group.numbers else 0), group.name, group.key)

    found = sorted(groups, key=size)
    shown = [group for group in found if group.numbers is not None]
    if len(found) - len(shown) == 1 and shown:
        hidden = replace(shown[-1], numbers=None, hidden="beside")
        found[found.index(shown[-1])] = hidden
    return tuple(found)
