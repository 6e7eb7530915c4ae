"""The one place that makes a card of an entry, for every channel."""

import re
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from urllib.parse import quote

from babel.dates import format_date, format_skeleton, format_time, get_day_names

from bot.phrases import SOURCE, digits, isolate, join, language_name, locale, say
from knowledge_base.entry import WEEKDAYS, Entry, Facts, Period, Phone, Picture, Text, TextState
from knowledge_base.opening import Opening, opening

EMERGENCY_NUMBER = "112"
"""European emergency number, Directive (EU) 2018/1972 article 109."""
_POINT = "https://www.openstreetmap.org/#map=18/"
"""Before latitude and longitude."""
_LATIN = re.compile("[A-Za-z]")
FACET_ROWS = {
    "where": ("where", "map"),
    "when": ("when", "open"),
    "phone": ("phone", "email", "web"),
    "documents": ("bring",),
    "cost": ("cost",),
    "who": ("who",),
    "how": ("steps",),
}


MATTERS = (("open", "when"), ("where",), ("phone",), ("cost",), ("bring",), ("steps",), ("web",), ("email",), ("who",))
"""Facts by how much they decide what somebody does next; of the two that say when, the first is enough."""
SHOWN_FIRST = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a card. `values` are ready to show; `links` stand beside them, in the same order, or are empty."""

    key: str
    label: str
    values: tuple[str, ...]
    links: tuple[str, ...] = ()
    known: bool = True
    numbered: bool = False
    italian: bool = False
    """Values are Italian names or addresses, whatever the language of the card: they stay left to right."""
    first: bool = True
    """One of the few that matter most; the others may be folded."""


@dataclass(frozen=True, slots=True)
class Card:
    id: str
    title: str
    language: str
    """Language the texts are really in; another than asked for when a translation is missing."""
    lead: str
    need: str | None
    """What to show somebody at a counter, in Italian."""
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    sources: tuple[str, ...]
    checked: str
    text_state: TextState
    open_now: bool | None
    picture: Picture | None = None

    def row(self, key: str) -> Row | None:
        return next((row for row in self.rows if row.key == key), None)


def build_card(entry: Entry, language: str, *, now: datetime, variant: str = "full") -> Card | None:
    """None when the entry has no text at all. `variant` as in `Reply.variant`; `now` must be aware."""
    found = entry.text_for(language)
    if found is None:
        return None
    written_in, text = found
    state = opening(entry.facts, now) if entry.hours_are_sure else None
    return Card(
        id=entry.id,
        title=text.title,
        language=written_in,
        lead=text.simple if variant == "simple" else text.summary,
        need=_need(entry),
        rows=_rows(entry, text, language=language, state=state, variant=variant),
        notes=_notes(entry, language, written_in=written_in, today=now.date()),
        sources=tuple(source.split()[0] for source in entry.record.source if source.startswith("http")),
        checked=_month(entry.checked_on, language),
        text_state=entry.text_state(language),
        open_now=state.open_now if state else None,
        picture=entry.facts.picture if variant == "full" else None,
    )


def _need(entry: Entry) -> str | None:
    italian = entry.texts.get(SOURCE)
    return say(SOURCE, "show.need", title=italian.title) if italian else None


def _rows(entry: Entry, text: Text, *, language: str, state: Opening | None, variant: str) -> tuple[Row, ...]:
    facts = entry.facts
    unknown = say(language, "card.unknown")

    def row(
        key: str, values: tuple[str, ...], *, ask: bool = False, numbered: bool = False, italian: bool = False
    ) -> Row | None:
        if not values and not ask:
            return None
        return Row(
            key,
            say(language, f"card.{key}"),
            values or (unknown,),
            known=bool(values),
            numbered=numbered,
            italian=italian,
        )

    asked = variant.removeprefix("facet:") if variant.startswith("facet:") else ""
    local = entry.record.scope == "local"
    every = (
        _danger(facts, language),
        row("open", (_open_line(state, language),) if state else ()),
        row("who", _one(text.who), ask=asked == "who"),
        row("bring", text.bring, ask=asked == "documents"),
        row("cost", _cost(facts, text, language), ask=asked == "cost" or local),
        row("where", _one(place_of(facts)), ask=asked == "where" or local, italian=True),
        _links("map", language, *_map(facts, language)),
        row("when", _hours(facts, text, language), ask=asked == "when" or local),
        _phones(facts.phones, language) or row("phone", (), ask=asked == "phone" or local),
        _emails(facts.emails, language),
        _links("web", language, *_web(facts)),
        row("spoken", _spoken(facts, language)),
        row("steps", text.steps, ask=asked == "how", numbered=True),
    )
    rows = tuple(one for one in every if one is not None)
    if asked:
        return tuple(one for one in rows if one.key in FACET_ROWS[asked])
    if variant == "simple":
        return tuple(one for one in rows if one.key in ("danger", "open", "where", "when", "phone", "map"))
    return _what_matters_first(_together(rows, language))


def _what_matters_first(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Marks three that are known, with the number for danger and the map of a place beside them; what nobody knows
    comes among them where there are fewer."""
    known = {row.key for row in rows if row.known}
    facts = [next(key for key in keys if key in known) for keys in MATTERS if known.intersection(keys)][:SHOWN_FIRST]
    shown = {"danger", *facts, *(("map",) if "where" in facts else ())}
    few = len(facts) < SHOWN_FIRST
    return tuple(replace(row, first=row.key in shown or (few and not row.known)) for row in rows)


def _together(rows: tuple[Row, ...], language: str) -> tuple[Row, ...]:
    """What is not known stands in one line at the end, not in four lines that say the same."""
    unknown = [row for row in rows if not row.known]
    if len(unknown) < 2:
        return rows
    label = join(language, [row.label for row in unknown])
    return (*(row for row in rows if row.known), Row("unknown", label, unknown[0].values, known=False))


def _danger(facts: Facts, language: str) -> Row | None:
    if not facts.danger:
        return None
    return _links("danger", language, (EMERGENCY_NUMBER,), (f"tel:{EMERGENCY_NUMBER}",))


def _one(value: str | None) -> tuple[str, ...]:
    return (value,) if value else ()


def _links(key: str, language: str, values: tuple[str, ...], links: tuple[str, ...]) -> Row | None:
    return Row(key, say(language, f"card.{key}"), values, links, italian=True) if values else None


def _phones(phones: tuple[Phone, ...], language: str) -> Row | None:
    if not phones:
        return None
    values = tuple(f"{p.number} (WhatsApp)" if p.kind == "whatsapp" else p.number for p in phones)
    links = tuple(f"tel:{p.dialled}" for p in phones)
    return Row("phone", say(language, "card.phone"), values, links, italian=True)


def _emails(emails: tuple[str, ...], language: str) -> Row | None:
    """Certified mail is marked: an ordinary message to it may never be read."""
    values = tuple(f"{email} (PEC)" if "@pec" in email else email for email in emails)
    return _links("email", language, values, tuple(f"mailto:{email}" for email in emails))


def _web(facts: Facts) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if facts.url is None:
        return (), ()
    return ((facts.url.host or str(facts.url)).removeprefix("www."),), (str(facts.url),)


def _map(facts: Facts, language: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    link = map_link(facts)
    return ((say(language, "card.open_map"),), (link,)) if link else ((), ())


def map_link(facts: Facts) -> str | None:
    """None where it is not known well enough."""
    address = place_of(facts)
    if facts.coordinates:
        return f"{_POINT}{facts.coordinates.latitude}/{facts.coordinates.longitude}"
    # Several addresses in one line cannot be one point on a map.
    if address and ";" not in address and any(letter.isdigit() for letter in address):
        return f"https://www.openstreetmap.org/search?query={quote(address)}"
    return None


def point_of(map_link: str) -> tuple[float, float] | None:
    """Latitude and longitude of a link that `map_link` made of coordinates; None of every other one."""
    if not map_link.startswith(_POINT):
        return None
    latitude, _, longitude = map_link.removeprefix(_POINT).partition("/")
    return float(latitude), float(longitude)


def place_of(facts: Facts) -> str | None:
    """Address and town."""
    if facts.address is None:
        return None
    town = facts.municipality
    named = town is None or town.lower() in facts.address.lower()
    return facts.address if named else f"{facts.address}, {town}"


def _cost(facts: Facts, text: Text, language: str) -> tuple[str, ...]:
    if text.cost:
        return (text.cost,)
    return (say(language, "card.free"),) if facts.free else ()


def _spoken(facts: Facts, language: str) -> tuple[str, ...]:
    return (join(language, [language_name(code, language) for code in facts.spoken]),) if facts.spoken else ()


def _hours(facts: Facts, text: Text, language: str) -> tuple[str, ...]:
    always = (say(language, "card.always_open"),) if facts.always_open else ()
    lines = tuple(period_line(period, language) for period in facts.schedule)
    return (*always, *lines, *_one(text.hours))


def period_line(period: Period, language: str) -> str:
    days = _days(period.days, language)
    if period.opens and period.closes:
        hours = {"opens": clock(period.opens, language), "closes": clock(period.closes, language)}
        line = say(language, "card.days_hours", days=days, **hours)
    elif period.opens:
        line = say(language, "card.days_from", days=days, opens=clock(period.opens, language))
    else:
        line = say(language, "card.days_only", days=days)
    return say(language, "card.at_place", place=period.where, line=line) if period.where else line


def _days(days: tuple[str, ...], language: str) -> str:
    """«Monday to Friday» for a run of three or more, «Tuesday and Thursday» otherwise."""
    names = get_day_names("wide", "stand-alone", locale(language))
    numbers = sorted(WEEKDAYS.index(day) for day in days)
    if len(numbers) == len(WEEKDAYS):
        return say(language, "card.every_day")
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return say(language, "card.day_range", first=names[numbers[0]], last=names[numbers[-1]])
    return join(language, [names[number] for number in numbers])


def clock(at: time | datetime, language: str) -> str:
    """Hour and minute as the language writes them."""
    written = digits(language, format_time(at, "short", locale=locale(language)))
    return isolate(language, written) if _LATIN.search(written) else written


def _open_line(state: Opening, language: str) -> str:
    if state.holiday:
        return say(language, "card.holiday")
    if state.open_now:
        if state.changes_at is None:
            return say(language, "card.open_always")
        return say(language, "card.open_until", time=clock(state.changes_at.time(), language))
    assert state.changes_at is not None
    day = get_day_names("wide", "stand-alone", locale(language))[state.changes_at.weekday()]
    return say(language, "card.closed_until", day=day, time=clock(state.changes_at.time(), language))


def _month(checked_on: str, language: str) -> str:
    """«November 2026», or the day where it is known."""
    year, month, *day = (int(part) for part in checked_on.split("-"))
    if day:
        return digits(language, str(format_date(date(year, month, day[0]), "long", locale=locale(language))))
    return digits(language, str(format_skeleton("yMMMM", date(year, month, 1), locale=locale(language))))


def _notes(entry: Entry, language: str, *, written_in: str, today: date) -> tuple[str, ...]:
    notes = []
    if written_in != language:
        notes.append(say(language, "card.only_italian"))
    state = entry.text_state(language)
    if state is TextState.MACHINE:
        notes.append(say(language, "card.machine"))
    elif state is TextState.OUTDATED:
        notes.append(say(language, "card.outdated"))
    elif state is TextState.UNREVIEWED:
        notes.append(say(language, "card.unreviewed"))
    if entry.must_be_confirmed:
        notes.append(say(language, "card.confirm"))
    if today > entry.check_by:
        notes.append(say(language, "card.overdue"))
    return tuple(notes)
