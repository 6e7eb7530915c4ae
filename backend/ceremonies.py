"""What the server remembers between two steps of signing in (passkeys, single sign-on): taken once, or never."""

from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.models import Ceremony
from backend.tokens import secret_hash

_CLEARED_AT_ONCE = 100


async def remember(
    session: AsyncSession, kind: str, token: str, data: dict[str, Any], *, minutes: int, account_id: UUID | None = None
) -> None:
    """Keeps `data` under the token for that long; clears what nobody came back for on the way."""
    old = select(Ceremony.token_hash).where(Ceremony.expires_at < func.now()).limit(_CLEARED_AT_ONCE)
    await session.execute(delete(Ceremony).where(Ceremony.token_hash.in_(old.with_for_update(skip_locked=True))))
    until = func.now() + text(f"interval '{minutes} minutes'")
    values = {"token_hash": secret_hash(token), "kind": kind, "account_id": account_id, "expires_at": until}
    await session.execute(insert(Ceremony).values(**values, data=data))


async def recall(
    session: AsyncSession, kind: str, token: str, *, account_id: UUID | None = None
) -> dict[str, Any] | None:
    """What was remembered for this account (None: for nobody yet), once; None when there is nothing."""
    owner = Ceremony.account_id.is_(None) if account_id is None else Ceremony.account_id == account_id
    taking = delete(Ceremony).where(Ceremony.token_hash == secret_hash(token), Ceremony.kind == kind, owner)
    alive = taking.where(Ceremony.expires_at > func.now()).returning(Ceremony.data)
    found: dict[str, Any] | None = (await session.execute(alive)).scalar_one_or_none()
    return found
