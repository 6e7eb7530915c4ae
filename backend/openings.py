"""Times that become free because a desk changes, by longer hours or somebody more who serves: they too go first to
whoever waits (decision 19).

What is free for those who wait is looked at before the change and after it; both under the locks of all who serve.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row, text

from backend.availability import FreeTime
from backend.db import Writer
from backend.diary import Diary, load_diaries
from backend.offers import Freed, offer_time
from backend.taking import lock_servers

Wished = tuple[int, str, bool]
"""Kind, language, whether somebody has to interpret."""
Free = Mapping[Wished, Collection[int]]
"""When visits can begin: seconds since 1970, UTC."""
_SEASON = timedelta(days=367)
_NOON = 13
_MOST_TRIES = 40
"""For one person, whose limits may let none of many times be theirs."""
_WAITING = text(
    """
    SELECT w.id, w.kind_id, w.language, w.interpreter, w.first_day, w.last_day, w.part, w.offer_id IS NULL AS asks
    FROM waiting_places w JOIN appointment_kinds k ON k.id = w.kind_id
    WHERE k.desk_id = :desk ORDER BY w.asked_at, w.id
    """
)


async def free_for_waiting(db: Writer, desk_id: int, now: datetime) -> Free:
    """Before a change, under the locks of all who serve there."""
    places = (await db.execute(_WAITING, {"desk": desk_id})).all()
    diaries = await _diaries(db, places, now)
    wishes = {_wished(place) for place in places}
    return {wish: {one.at for one in _times(diaries, wish, now)} for wish in wishes}


async def offer_new(db: Writer, desk_id: int, before: Free, now: datetime) -> None:
    """After the change: to each who waits the first new time that suits, the one who has waited longest first."""
    locked = await lock_servers(db, desk_id)  # whoever is new has the largest number: locks stay in order
    places = [one for one in (await db.execute(_WAITING, {"desk": desk_id})).all() if one.asks]
    diaries = await _diaries(db, places, now)
    new = {
        wish: [one for one in _times(diaries, wish, now) if one.at not in before[wish]]
        for wish in {_wished(place) for place in places} & before.keys()
    }
    for place in places:
        if new.get(_wished(place)):
            diary = diaries[place.kind_id]
            suiting = _suiting(place, new[_wished(place)], diary.hours.zone)
            await _offer_first(db, place, suiting, diary, now, locked)


async def _diaries(db: Writer, places: Sequence[Row[Any]], now: datetime) -> dict[int, Diary]:
    kinds = sorted({place.kind_id for place in places})
    return await load_diaries(db, kinds, now, now + _SEASON, now=now) if kinds else {}


def _wished(place: Row[Any]) -> Wished:
    return place.kind_id, place.language, place.interpreter


def _times(diaries: Mapping[int, Diary], wish: Wished, now: datetime) -> Iterable[FreeTime]:
    diary = diaries.get(wish[0])
    return diary.times(now, language=wish[1], interpreter=wish[2]) if diary else ()


def _suiting(place: Row[Any], times: Iterable[FreeTime], zone: ZoneInfo) -> Iterable[datetime]:
    for one in times:
        local = one.start.astimezone(zone)
        part = "morning" if local.hour < _NOON else "afternoon"
        late = place.last_day is not None and local.date() > place.last_day
        if not late and local.date() >= (place.first_day or local.date()) and place.part in (None, part):
            yield one.start


async def _offer_first(
    db: Writer, place: Row[Any], starts: Iterable[datetime], diary: Diary, now: datetime, locked: Collection[int]
) -> None:
    tried = 0
    for start in starts:
        free = diary.who_is_free(start, now, language=place.language, interpreter=place.interpreter)
        for worker in free.workers if free else ():
            if tried == _MOST_TRIES:
                return
            tried += 1
            if await offer_time(db, place.id, Freed(diary.kind.desk_id, worker, start), now, locked):
                return
