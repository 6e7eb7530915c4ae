"""Mails to operators about their queue: that somebody waits, never who or why."""

import asyncio
import logging
from collections.abc import Mapping

from sqlalchemy import text

from backend.mail import MailNotSent, send_mail
from backend.services import Services
from bot.phrases import say

log = logging.getLogger(__name__)
_WHO = text(
    """
    SELECT o.desk_id, d.name AS desk, o.email, o.language, o.on_duty, o.by_mail
    FROM desk_operators o JOIN desks d ON d.id = o.desk_id WHERE o.desk_id = ANY(:desks) ORDER BY o.email, o.desk_id
    """
)


async def alert_desks(services: Services, late: Mapping[int, int]) -> None:
    """Somebody has waited almost as long as was promised: everybody who answers at the desk hears of it."""
    await _mail(services, late, "console.mail_late", everybody=True)


async def mail_about_new(services: Services, new: Mapping[int, int]) -> None:
    """To those who asked for such mails and are not at the console."""
    await _mail(services, new, "console.mail_new", everybody=False)


async def _mail(services: Services, desks: Mapping[int, int], key: str, *, everybody: bool) -> None:
    if not desks or services.settings.smtp_url is None:
        return
    async with services.sessions.begin() as session:
        rows = (await session.execute(_WHO, {"desks": list(desks)})).all()
    wanted = [row for row in rows if everybody or (row.by_mail and not row.on_duty)]
    await asyncio.gather(*(_send(services, row.email, row.language, row.desk, key) for row in wanted))


async def _send(services: Services, to: str, language: str, desk: str, key: str) -> None:
    address = f"{services.settings.address}/console"
    subject, body = say(language, f"{key}_subject", desk=desk), say(language, key, desk=desk, address=address)
    try:
        await send_mail(services.settings, to=to, subject=subject, body=body)
    except MailNotSent:
        log.warning("a mail about the queue could not be sent")
