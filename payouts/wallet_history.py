"""The history of a wallet: every transaction that moved its Stars."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from core.auth.rights import require_user
from payouts.accounts import AccountKind
from payouts.models import EventKind, LedgerAccount, LedgerEntry, LedgerTransaction


@dataclass(frozen=True, slots=True)
class Movement:
    """`stars` is below zero when they left the wallet; `room_*` says where they were tipped."""

    id: UUID
    kind: EventKind
    at: datetime
    stars: int
    room_id: UUID | None
    room_ms: int | None


async def movements_of(
    session: AsyncSession, principal: Principal, *, before: UUID | None, limit: int
) -> Sequence[Movement]:
    """The caller's, newest first; only those before the movement `before`.

    Raises Unauthenticated, AccountNeeded.
    """
    account = _wallet(principal)
    mine = (
        sa.select(
            LedgerTransaction.id,
            LedgerTransaction.kind,
            LedgerTransaction.at,
            LedgerEntry.amount,
            LedgerTransaction.room_id,
            LedgerTransaction.room_ms,
        )
        .join(LedgerTransaction, LedgerTransaction.id == LedgerEntry.transaction_id)
        .where(LedgerEntry.account_id == account)
    )
    if before is not None:
        last = sa.select(LedgerEntry.id).where(
            LedgerEntry.transaction_id == before, LedgerEntry.account_id == account
        )
        mine = mine.where(LedgerEntry.id < last.scalar_subquery())
    rows = await session.execute(mine.order_by(LedgerEntry.id.desc()).limit(limit))
    return [Movement(*row) for row in rows]


def _wallet(principal: Principal) -> sa.ScalarSelect[int]:
    return (
        sa.select(LedgerAccount.id)
        .where(
            LedgerAccount.platform_id == principal.platform_id,
            LedgerAccount.kind == AccountKind.WALLET,
            LedgerAccount.owner == str(require_user(principal)),
        )
        .scalar_subquery()
    )
