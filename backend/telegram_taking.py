"""What becomes of one update of a private chat: a turn, files for a person, or nothing."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.attachments import LARGEST_FILE, FileTooLarge, SafeFile, make_safe, store_in
from backend.chat import LONGEST_MESSAGE, Sent, Stored, check_sent, finish_turn
from backend.chat_booking import find_label, needs_label
from backend.conversations import Access, reply_payload
from backend.db import notify, retried
from backend.erasure import HELD
from backend.errors import AppError, EmptyMessage, TooManyRequests
from backend.models import Conversation, Message
from backend.services import Services
from backend.telegram_api import Api, TelegramError
from backend.telegram_store import (
    CHANNEL,
    Known,
    State,
    find_choice,
    find_conversation,
    follow,
    lost,
    mark_handled,
    mark_within,
    open_chat,
    store_sent,
)
from bot import emergency
from bot.bookings import takes_time
from bot.phrases import say
from bot.telegram import Arrived, FileSent, Said, greeting, pointed, said
from bot.turn import Reply

log = logging.getLogger(__name__)

_FETCH_AGAIN_S = (0.5, 2.0, 5.0, 0.0)
NOTICE = "attachment"
"""`intent` of what is said about a file that could not be taken: the person has sent it a moment ago."""


class FileNotFetched(AppError):
    """Telegram has it and did not give it to us."""

    status = 503
    code = "file_not_fetched"


@dataclass(frozen=True, slots=True)
class _Person:
    """Who has sent something, and what."""

    chat: int
    external_id: str
    arrived: Arrived
    updates: Sequence[int]


class Taking:
    def __init__(self, services: Services, api: Api, state: State) -> None:
        self._services, self._api, self._state = services, api, state

    async def take(self, arrived: Arrived, updates: Sequence[int]) -> None:
        """Afterwards the updates are handled. Raises ErasedMeanwhile, Unavailable."""
        chat = arrived.chat_id
        if chat is None or arrived.kind in ("nothing", "group", "unblocked"):
            await mark_handled(self._services.engine, *updates)
        elif arrived.kind == "migrated":
            if arrived.new_chat_id is not None:
                await follow(self._services.sessions, self._state, chat, arrived.new_chat_id)
            await mark_handled(self._services.engine, *updates)
        elif arrived.kind == "blocked":
            await lost(self._services.sessions, self._state.external_id(chat), updates[0])
        else:
            await self._turn(_Person(chat, self._state.external_id(chat), arrived, updates))

    async def _turn(self, person: _Person) -> None:
        engine, arrived = self._services.engine, person.arrived
        looks_first = arrived.kind in ("files", "start")
        known = await find_conversation(engine, person.external_id) if looks_first else None
        held = known is not None and known.state in HELD
        words = said(arrived, held=held)
        if arrived.kind == "start" and known is None and words == Said(choice="start"):
            await self._greet(person)
            await mark_handled(engine, *person.updates)
            return
        if not await self._within_limits(person, known):
            return
        if arrived.kind == "files" and known is not None and held:
            await self._take_files(person, known)
            return
        if words is None:
            await mark_handled(engine, *person.updates)
            return
        await self._say(person, words)

    async def _say(self, person: _Person, words: Said) -> None:
        sent = await self._sent(person, words)
        stored = await store_sent(self._services.engine, person.external_id, sent, person.updates)
        if stored is None:  # the first word in this chat, or the first since it was erased
            await self._greet(person)
            stored = await store_sent(self._services.engine, person.external_id, sent, person.updates)
        if stored is not None and not stored.answered:
            await finish_turn(self._services.chat, stored, location=words.location, unread=words.unread)

    async def _greet(self, person: _Person) -> None:
        first = greeting(person.arrived.language_code, self._services.chat.keeping)
        await open_chat(self._services.engine, person.external_id, person.chat, first)

    async def _sent(self, person: _Person, words: Said) -> Sent:
        choice, label = words.choice, None
        at = pointed(choice) if choice else None
        if at is not None:
            choice = await find_choice(self._services.engine, person.external_id, *at) or choice
        if choice and needs_label(choice):
            label = await self._label(person, choice)
        key = f"tg:{person.updates[-1]}"
        try:
            sent = check_sent(Sent(key, words.text[:LONGEST_MESSAGE], choice))
        except EmptyMessage:  # signs that nobody can see
            sent = Sent(key, choice="other")
        return Sent(sent.external_id, sent.text, sent.choice, label)

    async def _label(self, person: _Person, choice: str) -> str | None:
        known = await find_conversation(self._services.engine, person.external_id)
        return await find_label(self._services.engine, known.id, None, choice) if known else None

    # ---- too much ----

    async def _within_limits(self, person: _Person, known: Known | None) -> bool:
        """The same as on the page. Whoever sends too much is told once; an emergency is always heard."""
        arrived, limits = person.arrived, self._services.limits
        if arrived.text and emergency.hear(arrived.text).surely:
            return True
        try:
            await limits.check("message", conversation=person.external_id)
            if arrived.kind == "files" and known is not None and known.state in HELD:
                await limits.check("attachment", conversation=person.external_id)
            if arrived.choice is not None and takes_time(arrived.choice):
                await limits.check("booking", conversation=person.external_id)
        except TooManyRequests as error:
            await self._refuse(person, error)
            return False
        return True

    async def _refuse(self, person: _Person, error: AppError) -> None:
        """Once for each spell of it, so that refusing is no flood either."""
        known = await find_conversation(self._services.engine, person.external_id)
        with contextlib.suppress(TooManyRequests):
            await self._services.limits.check("refusal", conversation=person.external_id)
            if known is not None:
                await self._notice(known, f"tg:{person.updates[-1]}.limit", error)
        await mark_handled(self._services.engine, *person.updates)

    # ---- files ----

    async def _take_files(self, person: _Person, known: Known) -> None:
        """As one message for the person at the desk, and the words that came with them as the next."""
        files, problem = await self._fetch(person.arrived.files)
        key, words = f"tg:{person.updates[-1]}", person.arrived.text
        if files:
            stored = await self._store_files(person, known, f"{key}.file", files, last=not words and problem is None)
            if stored is not None and not stored.answered:
                await finish_turn(self._services.chat, stored)
        if problem is not None:
            await self._notice(known, f"{key}.problem", problem)
        if words:
            await self._say(person, Said(words))
        else:
            await mark_handled(self._services.engine, *person.updates)

    async def _fetch(self, announced: Sequence[FileSent]) -> tuple[list[SafeFile], AppError | None]:
        """Those that can be taken, and why one of the others cannot."""
        taken: list[SafeFile] = []
        problem: AppError | None = None
        for one in announced:
            try:
                if one.size is not None and one.size > LARGEST_FILE:
                    raise FileTooLarge
                data = await self._download(one.file_id)
                if data is None:
                    raise FileTooLarge
                taken.append(await make_safe(data))
            except AppError as error:
                problem = error
        return taken, problem

    async def _download(self, file_id: str) -> bytes | None:
        """Raises FileNotFetched."""
        for pause in _FETCH_AGAIN_S:
            try:
                return await self._api.download(file_id, most=LARGEST_FILE)
            except TelegramError as error:
                log.info("a file could not be fetched (%s)", type(error).__name__)
            await asyncio.sleep(pause)
        raise FileNotFetched

    async def _store_files(
        self, person: _Person, known: Known, key: str, files: Sequence[SafeFile], *, last: bool
    ) -> Stored | None:
        columns = (Conversation.language, Conversation.place, Conversation.state)
        own = (Conversation.id == known.id, Conversation.channel == CHANNEL)
        query = select(*columns).where(*own).with_for_update(key_share=True)

        async def work() -> Stored | None:
            async with self._services.sessions.begin() as session:
                row = (await session.execute(query)).one_or_none()
                if row is None:
                    return None
                kept = await store_in(session, Access(known.id, *row), key, files)
                if last:
                    await mark_within(session, person.updates)
                return Stored(kept.access, kept.message, kept.answered)

        return await retried(work)

    async def _notice(self, known: Known, key: str, error: AppError) -> None:
        """A sentence of the service, once, whoever has the word."""
        text = say(known.language, error.message_id, **error.values)
        payload = reply_payload(Reply(known.language, text, NOTICE))

        async def work() -> None:
            async with self._services.sessions.begin() as session:
                await _tell(session, known, key, text, payload)

        await retried(work)


async def _tell(session: AsyncSession, known: Known, key: str, text: str, payload: dict[str, Any]) -> None:
    own = select(Conversation.id).where(Conversation.id == known.id).with_for_update(key_share=True)
    if (await session.execute(own)).one_or_none() is None:
        return
    before = select(Message.id).where(Message.conversation_id == known.id, Message.external_id == key)
    if await session.scalar(before) is None:
        values = {"conversation_id": known.id, "author": "system", "external_id": key, "language": known.language}
        await session.execute(insert(Message).values(**values, text=text, payload=payload))
        await notify(session, known.id)
