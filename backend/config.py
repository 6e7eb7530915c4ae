"""Settings: environment variables beginning with `ELP_`, each described in `docs/settings.md`."""

import base64
import hmac
import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MAKE_ONE = "make one with: elp keys new"


def check_key(key: str) -> str:
    """Raises ValueError for what is not a key, or one that nobody drew by lot."""
    try:
        raw = base64.urlsafe_b64decode(key.encode("ascii"))
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise ValueError(f"each key is 32 random bytes in base64; {MAKE_ONE}")
    if len(set(raw)) < 16:
        raise ValueError(f"a key is too weak to keep anything secret; {MAKE_ONE}")
    return key


def split_keys(keys: str) -> list[str]:
    """Keys between commas, spaces or line ends. Raises ValueError."""
    found = [check_key(key) for key in keys.replace(",", " ").split()]
    if not found:
        raise ValueError(f"holds no key; {MAKE_ONE}")
    return found


ROOT = Path(__file__).parent.parent
_ORIGIN = re.compile(r"https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[1-9][0-9]{0,4})?")
"""As browsers write it (RFC 6454 section 6.2); a name with other letters in its form for machines, `xn--…`."""
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def default_data_dir() -> Path:
    """What `./elp` exports; the same rule for a program started without it."""
    return ROOT / ".elp"


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="ELP_", frozen=True)

    data_dir: Path = Field(default_factory=default_data_dir)
    database_url: str | None = None
    """`postgresql://…`; None starts the embedded server in the data folder."""
    database_pool: int = Field(default=10, ge=1, le=200)
    nlu_url: str | None = None
    """Base address of the Rasa service; None: the bot works by search and buttons alone."""
    nlu_timeout_ms: int = Field(default=300, ge=10, le=10_000)
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    public_url: str | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    secret_keys: SecretStr | None = None
    """Keys that encrypt what people write, the newest first; None: the file `secret-keys` in the data folder."""
    rate_limits: Literal["on", "off"] = "on"
    exit_url: str = "https://www.wikipedia.org/"
    """Where «exit quickly» leads: a page that says nothing about who was reading."""
    embed_origins: str = Field(default="", max_length=2000)
    """Sites that may show the chat inside their pages, between spaces; empty: none."""
    controller: str | None = Field(default=None, max_length=500)
    """Who answers for the data, with address and contact, as the privacy notice names it."""
    keep_conversations_days: int = Field(default=90, ge=1, le=3650)
    keep_audit_days: int = Field(default=365, ge=30, le=3650)
    keep_receipts_days: int = Field(default=365, ge=30, le=3650)

    operator_gone_minutes: int = Field(default=10, ge=1, le=240)
    """Without a sign of an operator's browser, after which what they answered goes back to the queue."""
    first_reply_minutes: int = Field(default=20, ge=1, le=1440)
    """From taking a conversation to the first word in it, after which it goes back."""
    alert_minutes: int = Field(default=15, ge=1, le=1440)
    """Before a promise breaks, when the desk is alerted."""

    smtp_url: SecretStr | None = None
    """`smtp://user:password@host:587` (STARTTLS) or `smtps://…:465`; None: no mail is sent, links are handed over."""
    mail_from: str | None = None
    oidc_issuer: str | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    oidc_name: str = Field(default="OpenID Connect", max_length=60)
    """What the button on the sign-in page calls the organisation's own accounts."""

    telegram_token: SecretStr | None = None
    """Of the bot, from @BotFather; None: no Telegram."""
    telegram_api_url: str = "https://api.telegram.org"
    telegram_mode: Literal["polling", "webhook"] = "polling"
    telegram_webhook_secret: SecretStr | None = None
    """What Telegram shows with every update; None: one that follows from the token."""
    telegram_protect: bool = False
    """Cards that name a person's matters cannot be forwarded or saved."""
    telegram_discreet: bool = True
    """What nobody asked for at that moment does not show on a locked phone."""

    @field_validator("database_url")
    @classmethod
    def check_database_url(cls, value: str | None) -> str | None:
        if value and not value.startswith(("postgresql://", "postgres://")):
            raise ValueError("must begin with postgresql://")
        return value

    @field_validator("exit_url", "oidc_issuer", "public_url", "telegram_api_url")
    @classmethod
    def check_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("https://", "http://")):
            raise ValueError("must begin with https://")
        return value.rstrip("/") if value and value.count("/") == 3 and value.endswith("/") else value

    @field_validator("embed_origins")
    @classmethod
    def check_embed_origins(cls, value: str) -> str:
        """Names only: with a pattern anybody's page on a shared host would do."""
        wrong = [origin for origin in value.split() if not _ORIGIN.fullmatch(origin)]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is not the origin of a site, such as https://www.comune.example.it")
        return " ".join(value.split())

    @field_validator("secret_keys")
    @classmethod
    def check_secret_keys(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            split_keys(value.get_secret_value())
        return value

    @field_validator("oidc_client_secret")
    @classmethod
    def check_client_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and (len(value.get_secret_value()) < 16 or len(set(value.get_secret_value())) < 8):
            raise ValueError("is too weak; ask the identity provider for a new one")
        return value

    @field_validator("telegram_token")
    @classmethod
    def check_telegram_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[0-9]{1,20}:[A-Za-z0-9_-]{20,100}", value.get_secret_value()):
            raise ValueError("is not the token of a bot; @BotFather gives one such as 123456:ABC-DEF…")
        return value

    @field_validator("telegram_webhook_secret")
    @classmethod
    def check_webhook_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[A-Za-z0-9_-]{16,256}", value.get_secret_value()):
            raise ValueError("must be 16 to 256 letters, digits, _ or -")
        return value

    @field_validator("smtp_url")
    @classmethod
    def check_smtp_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("smtp://", "smtps://")):
            raise ValueError("must begin with smtp:// or smtps://")
        return value

    @model_validator(mode="after")
    def check_together(self) -> Self:
        if self.rate_limits == "off" and not self.loopback:
            raise ValueError("rate_limits may be off only where no other machine can connect (ELP_HOST=127.0.0.1)")
        if self.oidc_issuer and not (self.oidc_client_id and self.oidc_client_secret):
            raise ValueError("oidc_issuer needs oidc_client_id and oidc_client_secret")
        if self.smtp_url and not self.mail_from:
            raise ValueError("smtp_url needs mail_from")
        if self.telegram_token and self.telegram_mode == "webhook" and not self.public_url:
            raise ValueError("telegram_mode=webhook needs public_url, where Telegram can reach the service")
        return self

    @model_validator(mode="after")
    def check_paths(self) -> Self:
        if not self.data_dir.is_absolute():
            raise ValueError("data_dir must be an absolute path")
        return self

    @property
    def address(self) -> str:
        """Where people reach the service."""
        return self.public_url or f"http://{self.host}:{self.port}"

    @property
    def https(self) -> bool:
        return self.address.startswith("https://")

    @property
    def webhook_secret(self) -> str:
        """Letters and digits; whoever does not know the token cannot guess it."""
        if self.telegram_webhook_secret is not None:
            return self.telegram_webhook_secret.get_secret_value()
        token = self.telegram_token.get_secret_value() if self.telegram_token else ""
        return hmac.digest(token.encode(), b"webhook", "sha256").hex()

    @property
    def loopback(self) -> bool:
        return self.host in LOOPBACK
