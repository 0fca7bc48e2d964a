"""Tips of the ledger alone, without a room: decided and booked as the product does."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import raw_connection
from core.errors import Conflict
from payouts.ledger import PARAMETERS, Booked
from payouts.postings import Terms
from payouts.spending import Spending, StarsMissing, Tip, WalletFrozen

_WALLETS: Final = "select * from star_wallets($1, $2, $3, true)"
_BOOK: Final = f"select ledger_book({PARAMETERS})"


async def book_tips(
    raw: asyncpg.Connection, *, platform_id: UUID, tips: Sequence[Tip], terms: Terms
) -> list[Booked | Conflict]:
    """Each as if it were alone, in their order: one that is refused leaves the others be."""
    spending, payers = Spending(platform_id, terms), {tip.payer_id for tip in tips}
    names, keys = [str(payer) for payer in payers], [tip.key for tip in tips]
    spending.opened(payers, await raw.fetch(_WALLETS, platform_id, names, keys))
    outcomes: list[Booked | Conflict] = []
    for tip in tips:
        try:
            outcomes.append(spending.tip(tip))
        except (StarsMissing, WalletFrozen) as refused:
            outcomes.append(refused)
    if any(isinstance(each, Booked) and each.new for each in outcomes):
        await raw.fetchval(_BOOK, *spending.columns({}))
    return outcomes


async def book_tip(session: AsyncSession, *, platform_id: UUID, tip: Tip, terms: Terms) -> Booked:
    """Once for each key. Raises StarsMissing, WalletFrozen."""
    raw = await raw_connection(session)
    [outcome] = await book_tips(raw, platform_id=platform_id, tips=[tip], terms=terms)
    if isinstance(outcome, Conflict):
        raise outcome
    return outcome
