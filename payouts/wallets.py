"""How many Stars somebody has."""

from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from payouts.accounts import AccountKind
from payouts.models import LedgerAccount


@dataclass(frozen=True, slots=True)
class Holdings:
    stars: int = 0
    """Can be spent, unless the wallet is `frozen`."""
    held: int = 0
    """Are being refunded."""
    frozen: bool = False
    """A payment is disputed."""


async def holdings_of(session: AsyncSession, *, platform_id: UUID, user_id: UUID) -> Holdings:
    """All zeros for somebody who never had a Star."""
    kinds = (AccountKind.WALLET, AccountKind.WALLET_HOLD)
    rows = await session.execute(
        sa.select(LedgerAccount.kind, LedgerAccount.balance, LedgerAccount.open_disputes).where(
            LedgerAccount.platform_id == platform_id,
            LedgerAccount.kind.in_(kinds),
            LedgerAccount.owner == str(user_id),
        )
    )
    found = {kind: (balance or 0, disputes) for kind, balance, disputes in rows}
    stars, disputes = found.get(AccountKind.WALLET, (0, 0))
    held, _ = found.get(AccountKind.WALLET_HOLD, (0, 0))
    return Holdings(stars, held, disputes > 0)
