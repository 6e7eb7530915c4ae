"""Files that go with a message to Telegram, made when they are sent: nothing is kept twice."""

import json
from uuid import UUID

from sqlalchemy import select
from telegram import InputFile

from backend.attachments import get_attachment
from backend.conversations import export_known
from backend.db import retried
from backend.errors import NotFound
from backend.models import Appointment
from backend.services import Services
from backend.telegram_api import upload
from backend.visits import COLUMNS, visit_of
from backend.web.visits import calendar_file
from bot.telegram import FileToSend


async def load(services: Services, conversation_id: UUID, language: str, wanted: FileToSend) -> InputFile:
    """Of this conversation. Raises NotFound, Unavailable."""
    makers = {"calendar": _calendar, "attachment": _attachment, "export": _export}
    data = await retried(lambda: makers[wanted.source](services, conversation_id, language, wanted.id))
    return upload(data, wanted.name)


async def _calendar(services: Services, conversation_id: UUID, language: str, visit_id: str) -> bytes:
    own = (Appointment.id == _uuid(visit_id), Appointment.conversation_id == conversation_id)
    async with services.sessions.begin() as session:
        row = (await session.execute(select(*COLUMNS).where(*own, Appointment.name.is_not(None)))).one_or_none()
        if row is None:
            raise NotFound
        return bytes((await calendar_file(session, services, visit_of(row), language)).body)


async def _attachment(services: Services, conversation_id: UUID, _: str, attachment_id: str) -> bytes:
    async with services.sessions.begin() as session:
        return (await get_attachment(session, conversation_id, _uuid(attachment_id))).data


async def _export(services: Services, conversation_id: UUID, _: str, __: str) -> bytes:
    async with services.sessions.begin() as session:
        known = await export_known(session, conversation_id)
    return json.dumps(known, ensure_ascii=False, indent=2).encode()


def _uuid(raw: str) -> UUID:
    """Raises NotFound."""
    try:
        return UUID(raw)
    except ValueError as error:
        raise NotFound from error
