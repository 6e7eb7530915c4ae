"""What a desk says often, kept in the languages somebody has written it in; `{word}` is filled in when it is used."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend import audit
from backend.access import Staff, access_saved_replies
from backend.accounts import clean_name
from backend.errors import AppError, Conflict, NotFound
from backend.models import Desk, SavedReply
from bot.phrases import KNOWN, SOURCE, SPOKEN

MOST_REPLIES = 200
LONGEST_REPLY = 2000
_FIELD = re.compile(r"\{(\w[^{}\s]{0,39})\}")
_UNWANTED = frozenset({"Cc", "Cs"})


class ReplyNameTaken(Conflict):
    code = "name_taken"


class TooManyReplies(Conflict):
    code = "too_many_replies"


class MissingReply(AppError):
    """Without the Italian text."""

    status = 422
    code = "missing_reply"


class ReplyTooLong(AppError):
    status = 422
    code = "reply_too_long"


class FieldsDiffer(AppError):
    """A text without a field of the Italian one, or with one more: it could not be filled in."""

    status = 422
    code = "reply_fields_differ"


@dataclass(frozen=True, slots=True)
class Reply:
    id: int
    name: str
    texts: Mapping[str, str]
    """Language code → text; Italian is always there."""
    fields: tuple[str, ...]


def fields_of(text: str) -> tuple[str, ...]:
    """Words in braces, each once, in the order of the text."""
    return tuple(dict.fromkeys(_FIELD.findall(text)))


def fill(text: str, values: Mapping[str, str]) -> str:
    """Fields without a value stay as they are, so that somebody sees them; what is put in is not looked at again."""
    return _FIELD.sub(lambda field: values.get(field[1], field[0]), text)


async def list_replies(session: AsyncSession, staff: Staff, desk_id: int) -> list[Reply]:
    """By name. Raises NotFound."""
    await access_saved_replies(session, staff, desk_id, change=False)
    query = select(SavedReply).where(SavedReply.desk_id == desk_id).order_by(func.lower(SavedReply.name), SavedReply.id)
    return [
        Reply(row.id, row.name, row.texts, fields_of(row.texts.get(SOURCE, "")))
        for row in (await session.execute(query)).scalars()
    ]


async def save_reply(
    session: AsyncSession, staff: Staff, desk_id: int, *, reply_id: int | None, name: str, texts: Mapping[str, str]
) -> int:
    """A new one, or (`reply_id`) another wording of one that is there; returns its id. Raises NotFound, MissingName,
    NameTooLong, ReplyNameTaken, TooManyReplies, MissingReply, ReplyTooLong, FieldsDiffer."""
    desk = await access_saved_replies(session, staff, desk_id, change=True)
    values = {"name": clean_name(name), "texts": check_texts(texts)}
    try:
        if reply_id is None:
            await _check_room(session, desk_id)
            made = insert(SavedReply).values(desk_id=desk_id, **values).returning(SavedReply.id)
            saved, action = (await session.execute(made)).scalar_one(), "desk.reply_added"
        else:
            changed = update(SavedReply).where(SavedReply.id == reply_id, SavedReply.desk_id == desk_id).values(values)
            found = (await session.execute(changed.returning(SavedReply.id))).scalar_one_or_none()
            if found is None:
                raise NotFound
            saved, action = found, "desk.reply_changed"
    except IntegrityError as error:
        raise ReplyNameTaken from error
    await _record(session, staff, desk, action, saved)
    return int(saved)


async def delete_reply(session: AsyncSession, staff: Staff, desk_id: int, reply_id: int) -> None:
    """Also when a colleague was quicker. Raises NotFound for a desk that is not theirs."""
    desk = await access_saved_replies(session, staff, desk_id, change=True)
    query = delete(SavedReply).where(SavedReply.id == reply_id, SavedReply.desk_id == desk_id)
    if (await session.execute(query.returning(SavedReply.id))).scalar_one_or_none() is not None:
        await _record(session, staff, desk, "desk.reply_deleted", reply_id)


def check_texts(texts: Mapping[str, str]) -> dict[str, str]:
    """Cleaned, without the empty ones. Raises MissingReply, ReplyTooLong, FieldsDiffer."""
    cleaned = {code: _clean(texts.get(code, "")) for code in SPOKEN}
    kept = {code: text for code, text in cleaned.items() if text}
    if SOURCE not in kept:
        raise MissingReply
    wanted = fields_of(kept[SOURCE])
    for code, text in kept.items():
        if len(text) > LONGEST_REPLY:
            raise ReplyTooLong(limit=LONGEST_REPLY, language=KNOWN[code].name)
        if set(fields_of(text)) != set(wanted):
            raise FieldsDiffer(language=KNOWN[code].name, fields=", ".join(f"{{{field}}}" for field in wanted) or "–")
    return kept


def _clean(raw: str) -> str:
    """Line ends stay; control characters and half surrogates go."""
    text = unicodedata.normalize("NFC", raw.replace("\r\n", "\n").replace("\r", "\n"))
    return "".join(sign for sign in text if sign in "\n\t" or unicodedata.category(sign) not in _UNWANTED).strip()


async def _check_room(session: AsyncSession, desk_id: int) -> None:
    count = select(func.count()).select_from(SavedReply).where(SavedReply.desk_id == desk_id)
    if (await session.execute(count)).scalar_one() >= MOST_REPLIES:
        raise TooManyReplies(limit=MOST_REPLIES)


async def _record(session: AsyncSession, staff: Staff, desk: Desk, action: str, reply_id: int) -> None:
    await audit.record(
        session,
        action,
        f"desk:{desk.id}",
        account_id=staff.account_id,
        organisation_id=desk.organisation_id,
        reply=reply_id,
    )
