"""Translates into Italian what people write while a person has the word, so that the desk can read it."""

import asyncio
import logging
from uuid import UUID

from sqlalchemy import select, update

from backend.db import Sessions, notify, retried
from backend.delivery import Hub
from backend.erasure import HELD
from backend.models import Conversation, Message
from bot.phrases import SOURCE
from bot.translation import Translator

log = logging.getLogger(__name__)
_LOOK_AGAIN_S = 30.0
_AT_ONCE = 20


async def interpret(sessions: Sessions, hub: Hub, translator: Translator) -> None:
    """Runs for the life of the worker. A failed translation is tried once; the original is there all the time."""
    tried: set[int] = set()
    with hub.subscribe("queue:*") as something_new:
        while True:
            something_new.take()
            try:
                while await translate_waiting(sessions, translator, tried):
                    pass
            except Exception as error:  # the next message brings the next try
                log.warning("translating for the desk failed (%s)", type(error).__name__)
            await something_new.wait(_LOOK_AGAIN_S)
            await asyncio.sleep(0.1)  # several notices in a row are one look


async def translate_waiting(sessions: Sessions, translator: Translator, tried: set[int]) -> int:
    """Some of the messages that have no translation yet; returns how many were looked at. No transaction is open while
    a model works."""
    spoken = sorted(source for source, target in translator.pairs() if target == SOURCE)
    if not spoken:
        return 0
    query = (
        select(Message.id, Message.conversation_id, Message.language, Message.text)
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(
            Conversation.state.in_(HELD),
            Message.author == "person",
            Message.italian.is_(None),
            Message.language.in_(spoken),
            Message.id.not_in(sorted(tried)[-1000:]),
        )
        .order_by(Message.id.desc())
        .limit(_AT_ONCE)
    )
    async with sessions.begin() as session:
        rows = (await session.execute(query)).all()
    for row in rows:
        tried.add(row.id)
        if row.text:
            translated = await translator.translate(row.text, row.language, SOURCE)
            if translated is not None and translated.text:
                await _keep(sessions, row.id, row.conversation_id, translated.text)
    return len(rows)


async def _keep(sessions: Sessions, message_id: int, conversation_id: UUID, italian: str) -> None:
    async def work() -> None:
        async with sessions.begin() as session:
            await session.execute(update(Message).where(Message.id == message_id).values(italian=italian))
            await notify(session, conversation_id)

    await retried(work)
