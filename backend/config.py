"""Settings: environment variables beginning with `ELP_`, each described in `docs/settings.md`."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).parent.parent
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

    @field_validator("database_url")
    @classmethod
    def check_database_url(cls, value: str | None) -> str | None:
        if value and not value.startswith(("postgresql://", "postgres://")):
            raise ValueError("must begin with postgresql://")
        return value

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
    def loopback(self) -> bool:
        return self.host in LOOPBACK
