"""Mail to staff: invitations and links. What is sent, and to whom, is never logged."""

import asyncio
import logging
import smtplib
import ssl
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from urllib.parse import SplitResult, unquote, urlsplit

from backend.config import LOOPBACK, Settings
from backend.errors import AppError

log = logging.getLogger(__name__)

_TIMEOUT_S = 15
"""For each step of the conversation with the mail server."""


class MailNotSent(AppError):
    """No mail server is set, it cannot be reached, or it refused; the sender may try again or hand the text over."""

    status = 503
    code = "mail_not_sent"


async def send_mail(settings: Settings, *, to: str, subject: str, body: str) -> None:
    """Plain text to one address. Never inside a transaction: it waits for another machine. Raises MailNotSent."""
    if settings.smtp_url is None or settings.mail_from is None:
        raise MailNotSent
    try:
        message = _compose(settings.mail_from, to, subject, body)
        server = urlsplit(settings.smtp_url.get_secret_value())
        await asyncio.to_thread(_deliver, server, message, own_name=_own_name(settings))
    # ValueError: a line break in a header, a wrong port; smtplib's own errors are OSErrors. AttributeError: what
    # email.headerregistry raises for some broken addresses.
    except (OSError, ValueError, MessageError, AttributeError) as error:
        log.warning("a mail could not be sent (%s)", type(error).__name__)
        raise MailNotSent from error


def _compose(sender: str, to: str, subject: str, body: str) -> EmailMessage:
    """Raises ValueError or MessageError for an address that is not exactly one, and for line breaks in headers."""
    if to.count("@") != 1 or not all(to.split("@")):
        raise ValueError("not an address")
    message = EmailMessage()
    message["From"] = sender
    message["To"] = Address(addr_spec=to)
    message["Subject"] = subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=parseaddr(sender)[1].partition("@")[2] or "localhost")
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(body)
    return message


def _own_name(settings: Settings) -> str:
    """What we call ourselves to the mail server; without it smtplib asks the name service, which may take long."""
    host = urlsplit(settings.address).hostname or "localhost"
    if ":" in host:
        return f"[IPv6:{host}]"
    return f"[{host}]" if host.replace(".", "").isdigit() else host


def _deliver(server: SplitResult, message: EmailMessage, *, own_name: str) -> None:
    """Blocks. Raises OSError (SMTPException and SSLError are such), ValueError."""
    host, context = server.hostname or "", ssl.create_default_context()
    if server.scheme == "smtps":
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(
            host, server.port or 465, local_hostname=own_name, timeout=_TIMEOUT_S, context=context
        )
    else:
        smtp = smtplib.SMTP(host, server.port or 587, local_hostname=own_name, timeout=_TIMEOUT_S)
    with smtp:
        if server.scheme == "smtp" and host not in LOOPBACK:
            smtp.starttls(context=context)
        if server.username:
            smtp.login(unquote(server.username), unquote(server.password or ""))
        smtp.send_message(message)
