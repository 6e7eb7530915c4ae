"""Many people who wait with the same question, answered at once; each in a transaction of its own."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Literal
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend import handover, replies
from backend.access import Staff, access_console, access_conversation, conversations_within
from backend.db import Sessions, retried
from backend.errors import AppError, Forbidden, NotFound, Unauthorized, Unavailable
from backend.handover import StateChanged, Taken
from backend.masking import mask
from backend.models import Conversation, Desk, Handover, Message
from bot.actions import Actions
from bot.phrases import SOURCE
from knowledge_base.search import Index

MOST_WAITING = 300
"""Who is looked at: the urgent first, then by promise."""
MOST_GROUPS = 20
MOST_IN_GROUP = 50
_LAST = 3
"""Messages of each person among which the question is looked for."""
_LONGEST = 200
_WISHES = frozenset({"human"})
"""What the bot took a message for that only asks for a person: the question is the one before it."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody who waits, with the words they would be answered to."""

    id: UUID
    language: str
    desk: str
    urgent: bool
    promised_for: datetime | None
    broken: int
    state: str
    words: str
    """Masked and cut; in Italian where there is a translation. Empty when only buttons were pressed."""
    words_language: str
    last_message: int
    """Id of the newest message of the person: whoever writes more is not answered to what was asked before."""
    entry: str | None = None


@dataclass(frozen=True, slots=True)
class AlikeGroup:
    entry: str
    title: str
    people: tuple[Waiting, ...]
    more: int
    """How many others there are."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """One person as the page showed them."""

    id: UUID
    last_message: int


@dataclass(frozen=True, slots=True)
class ReplyText:
    """What goes to those who speak one language: `text` in `language`, perhaps corrected."""

    text: str
    language: str
    machine: bool


@dataclass(frozen=True, slots=True)
class Answer:
    key: str
    """Of the form: sent twice, it goes once to each."""
    words: str
    """As the operator wrote them, in Italian."""
    texts: Mapping[str, ReplyText]
    """By language of the conversation."""
    entry: str | None
    close: bool
    """Else everybody goes back to the queue, with the answer."""


Outcome = Literal["sent", "again", "taken", "mine", "wrote", "language", "changed", "gone", "failed"]
"""`again`: it had gone already. The others say why it did not go."""


@dataclass(frozen=True, slots=True)
class Result:
    id: UUID
    outcome: Outcome
    name: str = ""
    """Of the colleague who has it."""
    error: AppError | None = None


# ---- who is alike ----


async def list_groups(
    sessions: Sessions, staff: Staff, *, index: Index, actions: Actions, language: str
) -> list[AlikeGroup]:
    """Those of whom there are two or more, the largest first. Raises Forbidden."""
    access_console(staff)
    async with sessions.begin() as session:
        asked = await _read_waiting(session, staff, language)
    found = await asyncio.to_thread(_find_entries, asked, index)
    alike: dict[str, list[Waiting]] = {}
    for one in found:
        if one.entry is not None:
            alike.setdefault(one.entry, []).append(one)
    groups = [
        AlikeGroup(entry, title, tuple(people[:MOST_IN_GROUP]), max(0, len(people) - MOST_IN_GROUP))
        for entry, people in alike.items()
        if len(people) > 1 and (title := title_of(actions, entry, language))
    ]
    groups.sort(key=lambda group: (-len(group.people) - group.more, group.entry))
    return groups[:MOST_GROUPS]


async def list_chosen(sessions: Sessions, staff: Staff, chosen: Sequence[Chosen], *, language: str) -> list[Waiting]:
    """Those of them who are with one's desks, whatever became of them, in the order of the queue. Raises Forbidden."""
    access_console(staff)
    async with sessions.begin() as session:
        asked = await _read_waiting(session, staff, language, ids=[one.id for one in chosen])
    return [one.waiting for one in asked]


def title_of(actions: Actions, entry_id: str, language: str) -> str | None:
    """Of an entry that is shown."""
    entry = actions.find_entry(entry_id)
    text = entry.text_for(language) if entry and entry.shown else None
    return text[1].title if text else None


@dataclass(frozen=True, slots=True)
class _Asked:
    waiting: Waiting
    question: str
    question_language: str
    talked_about: str | None


def _find_entries(asked: Sequence[_Asked], index: Index) -> list[Waiting]:
    """By what was asked, else by what was talked about last."""
    found = []
    for one in asked:
        hits = index.search(one.question, one.question_language, limit=1).hits if one.question else ()
        found.append(replace(one.waiting, entry=hits[0].id if hits else one.talked_about))
    return found


async def _read_waiting(
    session: AsyncSession, staff: Staff, language: str, *, ids: Sequence[UUID] | None = None
) -> list[_Asked]:
    """Of all, or of those with these ids in any state."""
    any_of = aliased(Handover)
    last = select(func.max(any_of.id)).where(any_of.conversation_id == Conversation.id).scalar_subquery()
    which = Conversation.state == "WAITING" if ids is None else Conversation.id.in_(ids)
    query = (
        select(Conversation, Handover, Desk.name)
        .select_from(Conversation)
        .join(Handover, Handover.id == last)
        .join(Desk, Desk.id == Conversation.desk_id)
        .where(which, conversations_within(staff))
        .order_by(Handover.urgent.desc(), Handover.promised_for.asc().nulls_last(), Handover.asked_at, Handover.id)
        .limit(MOST_WAITING)
    )
    rows = (await session.execute(query)).all()
    said = await _last_messages(session, [conversation.id for conversation, _, _ in rows])
    return [_asked(conversation, of, desk, said.get(conversation.id, []), language) for conversation, of, desk in rows]


async def _last_messages(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, list[tuple[Message, bool]]]:
    """Of each person, the newest first; and whether it only asks for somebody."""
    newest = (
        select(Message.id)
        .where(Message.conversation_id == Conversation.id, Message.author == "person")
        .order_by(Message.id.desc())
        .limit(_LAST)
        .correlate(Conversation)
        .lateral()
    )
    chosen = select(newest.c.id).select_from(Conversation).join(newest, Conversation.id.in_(ids))
    messages = (await session.execute(select(Message).where(Message.id.in_(chosen)))).scalars().all()
    told = select(Message).where(Message.reply_to.in_([message.id for message in messages]))
    wishes = {
        message.reply_to
        for message in (await session.execute(told)).scalars()
        if message.payload.get("intent") in _WISHES
    }
    found: dict[UUID, list[tuple[Message, bool]]] = {}
    for message in sorted(messages, key=lambda one: -one.id):
        found.setdefault(message.conversation_id, []).append((message, message.id in wishes))
    return found


def _asked(
    conversation: Conversation, of: Handover, desk: str, said: Sequence[tuple[Message, bool]], language: str
) -> _Asked:
    written = [message for message, wish in said if message.text and "choice" not in message.payload and not wish]
    question = written[0] if written else None
    words, spoken = "", conversation.language
    if question is not None:
        words, spoken = (question.italian, SOURCE) if question.italian else (question.text, question.language)
    waiting = Waiting(
        conversation.id,
        conversation.language,
        desk,
        of.urgent,
        of.promised_for,
        of.broken,
        conversation.state,
        _cut(mask(words, language).text),
        spoken,
        said[0][0].id if said else 0,
    )
    asked = (question.text, question.language) if question is not None else ("", conversation.language)
    return _Asked(waiting, *asked, of.entry_id)


def _cut(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _LONGEST else words[:_LONGEST].rstrip() + "…"


# ---- answering ----


async def send_to_all(
    sessions: Sessions, staff: Staff, chosen: Sequence[Chosen], answer: Answer, *, actions: Actions, now: datetime
) -> list[Result]:
    """What became of each, in their order. Somebody whom a colleague took meanwhile, or who has written more, is left
    as they are. Raises Forbidden, Unauthorized."""
    access_console(staff)
    results = []
    for one in chosen:
        try:
            outcome = await retried(partial(_send, sessions, staff, one, answer, actions, now))
        except (Forbidden, Unauthorized):
            raise
        except Taken as error:
            results.append(Result(one.id, "taken", name=str(error.values["name"])))
        except NotFound:
            results.append(Result(one.id, "gone"))
        except StateChanged:
            results.append(Result(one.id, "changed"))
        except Unavailable:
            results.append(Result(one.id, "failed"))
        except AppError as error:
            results.append(Result(one.id, "failed", error=error))
        else:
            results.append(Result(one.id, outcome))
    return results


async def _send(
    sessions: Sessions, staff: Staff, chosen: Chosen, answer: Answer, actions: Actions, now: datetime
) -> Outcome:
    """All or nothing of claim, reply, and resolve or release. Raises as these do."""
    async with sessions.begin() as session:
        conversation = await access_conversation(session, staff, chosen.id, lock=True)
        if await _was_sent(session, conversation.id, answer.key):
            return "again"
        if conversation.holder_id == staff.account_id:
            return "mine"  # taken by hand meanwhile: the answer to it is being written
        if conversation.state == "WAITING":
            if await _newest(session, conversation.id) != chosen.last_message:
                return "wrote"
            if answer.words and conversation.language not in answer.texts:
                return "language"
        await handover.claim(session, staff, conversation.id)
        await replies.reply(session, staff, conversation.id, _written(answer, conversation.language), actions)
        if answer.close:
            await handover.resolve(session, staff, conversation.id)
        else:
            await handover.release(session, staff, conversation.id, now)
        return "sent"


def _written(answer: Answer, language: str) -> replies.Written:
    text = answer.texts.get(language) or ReplyText("", language, machine=False)
    words = answer.words if answer.words.strip() else None
    return replies.Written(answer.key, text.text, text.language, words=words, machine=text.machine, entry=answer.entry)


async def _was_sent(session: AsyncSession, conversation_id: UUID, key: str) -> bool:
    query = select(Message.id).where(
        Message.conversation_id == conversation_id,
        Message.external_id == f"{replies.REPLY_KEY}{key}",
        Message.author == "operator",
    )
    return await session.scalar(query) is not None


async def _newest(session: AsyncSession, conversation_id: UUID) -> int:
    query = select(func.max(Message.id)).where(Message.conversation_id == conversation_id, Message.author == "person")
    return await session.scalar(query) or 0
