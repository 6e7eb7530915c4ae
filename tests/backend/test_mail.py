"""Mail to staff, against a real SMTP server on this machine."""

import datetime
import ipaddress
import logging
import ssl
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr

from backend.config import Settings
from backend.local_nlu import free_port
from backend.mail import MailNotSent, send_mail

SENDER = "ELP Ivrea <elp@ivrea.test>"
OTHER_HOST = "127.0.0.2"
"""This machine too, but not one of the names that are taken for loopback: like a server somewhere else."""


class Mailbox:
    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.logins: list[tuple[bytes, bytes]] = []

    async def handle_DATA(self, server: object, session: object, envelope: Envelope) -> str:
        self.envelopes.append(envelope)
        return "250 OK"

    def authenticate(self, server: object, session: object, envelope: object, how: str, data: object) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"p@ss word", handled=False)

    def message(self) -> EmailMessage:
        (envelope,) = self.envelopes
        assert isinstance(envelope.content, bytes)
        found = message_from_bytes(envelope.content, policy=default)
        assert isinstance(found, EmailMessage)
        return found


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def plain_server(mailbox: Mailbox) -> Iterator[int]:
    port = free_port()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    yield port
    controller.stop()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for OTHER_HOST that nobody trusts by itself, and its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail.test")])
    usage = x509.KeyUsage(True, False, False, False, False, True, False, False, False)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(OTHER_HOST))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    chain, secret = folder / "cert.pem", folder / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return chain, secret


@pytest.fixture
def tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@pytest.fixture
def starttls_server(mailbox: Mailbox, tls: ssl.SSLContext) -> Iterator[int]:
    port = free_port()
    controller = Controller(
        mailbox,
        hostname=OTHER_HOST,
        port=port,
        tls_context=tls,
        require_starttls=True,
        authenticator=mailbox.authenticate,
        auth_required=True,
    )
    controller.start()
    yield port
    controller.stop()


def with_server(url: str) -> Settings:
    return Settings(smtp_url=SecretStr(url), mail_from=SENDER)


async def test_a_mail_arrives_with_its_words(mailbox: Mailbox, plain_server: int) -> None:
    settings = with_server(f"smtp://127.0.0.1:{plain_server}")
    await send_mail(settings, to="amina@ivrea.test", subject="Accès · دخول", body="Ciao!\nhttps://elp.test/l/x\n")
    message = mailbox.message()
    assert message["subject"] == "Accès · دخول"
    assert message["to"] == "amina@ivrea.test"
    assert message["from"] == SENDER
    assert message["message-id"].endswith("@ivrea.test>")
    assert message["date"]
    assert message.get_content().split() == ["Ciao!", "https://elp.test/l/x"]
    assert mailbox.envelopes[0].rcpt_tos == ["amina@ivrea.test"]
    assert mailbox.envelopes[0].mail_from == "elp@ivrea.test"


@pytest.mark.parametrize(
    "to, subject",
    [
        ("amina@ivrea.test\r\nBcc: all@ivrea.test", "Hello"),
        ("amina@ivrea.test, all@ivrea.test", "Hello"),
        ("amina@ivrea.test>\nRCPT TO:<all@ivrea.test", "Hello"),
        ("amina@[", "Hello"),
        ("amina", "Hello"),
        ("", "Hello"),
        ("amina@ivrea.test", "Hello\r\nBcc: all@ivrea.test"),
        ("amina@ivrea.test", "Hello\nBcc: all@ivrea.test"),
        ("amina@ivrea.test", "half a letter \ud800"),
    ],
)
async def test_nobody_smuggles_in_another_reader(mailbox: Mailbox, plain_server: int, to: str, subject: str) -> None:
    settings = with_server(f"smtp://127.0.0.1:{plain_server}")
    with pytest.raises(MailNotSent):
        await send_mail(settings, to=to, subject=subject, body="x")
    assert mailbox.envelopes == []


async def test_what_the_body_says_stays_in_the_body(mailbox: Mailbox, plain_server: int) -> None:
    settings = with_server(f"smtp://localhost:{plain_server}")
    body = "one\n.\nRCPT TO:<all@ivrea.test>\nBcc: all@ivrea.test\n"
    await send_mail(settings, to="amina@ivrea.test", subject="Hello", body=body)
    assert mailbox.message().get_content().replace("\r\n", "\n") == body
    assert mailbox.message()["bcc"] is None


async def test_another_machine_gets_words_and_password_over_tls_only(
    mailbox: Mailbox, starttls_server: int, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    settings = with_server(f"smtp://elp%40ivrea.test:p%40ss%20word@{OTHER_HOST}:{starttls_server}")
    await send_mail(settings, to="amina@ivrea.test", subject="Hello", body="x")
    assert mailbox.logins == [(b"elp@ivrea.test", b"p@ss word")]
    assert len(mailbox.envelopes) == 1


async def test_a_certificate_nobody_vouches_for_gets_nothing(mailbox: Mailbox, starttls_server: int) -> None:
    settings = with_server(f"smtp://elp:p%40ss%20word@{OTHER_HOST}:{starttls_server}")
    with pytest.raises(MailNotSent):
        await send_mail(settings, to="amina@ivrea.test", subject="Hello", body="x")
    assert mailbox.logins == []
    assert mailbox.envelopes == []


async def test_another_machine_without_tls_gets_nothing(mailbox: Mailbox) -> None:
    port = free_port()
    controller = Controller(mailbox, hostname=OTHER_HOST, port=port)
    controller.start()
    try:
        with pytest.raises(MailNotSent):
            await send_mail(
                with_server(f"smtp://{OTHER_HOST}:{port}"), to="amina@ivrea.test", subject="Hello", body="x"
            )
    finally:
        controller.stop()
    assert mailbox.envelopes == []


@pytest.mark.parametrize("trusted", [True, False])
async def test_smtps_speaks_tls_from_the_first_byte(
    mailbox: Mailbox,
    tls: ssl.SSLContext,
    certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    trusted: bool,
) -> None:
    port = free_port()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    controller = Controller(mailbox, hostname=OTHER_HOST, port=port, ssl_context=tls)
    controller.start()  # says hello to itself over TLS
    if not trusted:
        monkeypatch.delenv("SSL_CERT_FILE")
    settings = with_server(f"smtps://{OTHER_HOST}:{port}")
    try:
        if trusted:
            await send_mail(settings, to="amina@ivrea.test", subject="Hello", body="x")
        else:
            with pytest.raises(MailNotSent):
                await send_mail(settings, to="amina@ivrea.test", subject="Hello", body="x")
    finally:
        controller.stop()
    assert len(mailbox.envelopes) == trusted


async def test_a_wrong_password_a_silent_port_and_no_server_are_told_apart_by_nobody(
    mailbox: Mailbox,
    starttls_server: int,
    certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    for settings in (
        with_server(f"smtp://elp:wrong@{OTHER_HOST}:{starttls_server}"),
        with_server(f"smtp://127.0.0.1:{free_port()}"),
        with_server("smtp://127.0.0.1:notaport"),
        Settings(),
    ):
        with pytest.raises(MailNotSent) as caught, caplog.at_level(logging.DEBUG, logger="backend"):
            await send_mail(settings, to="amina@ivrea.test", subject="Secret subject", body="secret body")
        assert caught.value.status == 503
    assert mailbox.envelopes == []
    for private in ("amina", "ecret", "wrong", "elp:"):
        assert private not in caplog.text
