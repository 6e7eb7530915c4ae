"""Nothing a person wrote stays unanswered because a process died; nothing empty is kept."""

from sqlalchemy import func, select, text, update

from backend.chat import Sent, Stored, find_unanswered, finish_turn, store
from backend.conversations import Opened, open_conversation, token_hash
from backend.models import Conversation, Message
from backend.services import Services
from backend.worker import create_jobs


async def leave(services: Services, opened: Opened, words: str) -> Stored:
    """A message whose process died after the first beat."""
    return await store(services.engine, opened.id, token_hash(opened.token), Sent("one", words))


async def test_a_message_left_by_a_process_that_died_is_answered_later(services: Services) -> None:
    opened = await open_conversation(services.sessions, channel="web", language="it")
    stored = await leave(services, opened, "sportello elp")
    assert stored.message.id not in [one.message.id for one in await find_unanswered(services.engine, older_than_s=10)]
    waiting = await find_unanswered(services.engine, older_than_s=0, limit=1000)
    left = next(one for one in waiting if one.message.id == stored.message.id)
    answered = await finish_turn(services.chat, left)
    assert answered.messages[-1].payload["entry"] == "sportello-elp"
    waiting = await find_unanswered(services.engine, older_than_s=0, limit=1000)
    assert stored.message.id not in [one.message.id for one in waiting]


async def test_conversations_in_which_nobody_wrote_are_swept(services: Services) -> None:
    empty = await open_conversation(services.sessions, channel="web", language="it")
    used = await open_conversation(services.sessions, channel="web", language="it")
    await leave(services, used, "ciao")
    async with services.sessions.begin() as session:
        old = func.now() - text("interval '3 days'")
        await session.execute(
            update(Conversation).where(Conversation.id.in_([empty.id, used.id])).values(active_at=old)
        )
    jobs = create_jobs(services)
    async with jobs.open_async():
        await jobs.tasks["retention"](timestamp=0)
    async with services.sessions() as session:
        ids = (await session.execute(select(Conversation.id))).scalars().all()
        assert empty.id not in ids
        assert used.id in ids
        assert await session.scalar(select(func.count()).where(Message.conversation_id == empty.id)) == 0


async def test_the_jobs_are_known_to_the_queue(services: Services) -> None:
    jobs = create_jobs(services)
    assert {"finish_turns", "forget", "retention"} <= set(jobs.tasks)
