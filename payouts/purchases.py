"""Puts Stars into a wallet: bought ones, or promotional ones."""

from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from payouts import ledger, postings
from payouts.accounts import AccountKind
from payouts.balance_transactions import record_line
from payouts.ledger import Booked
from payouts.models import LedgerAccount, StarLot
from payouts.postings import BalanceTransaction


async def book_purchase(
    session: AsyncSession,
    *,
    platform_id: UUID,
    user_id: UUID,
    key: str,
    stars: int,
    charge: BalanceTransaction,
    tax_minor: int = 0,
    charged_in: str | None = None,
) -> Booked:
    """Puts the Stars of a paid order into the wallet, as a lot. Idempotent by its `key`.

    `charge` is the balance transaction of the order's charge; it and `tax_minor` (within it) are in
    the settlement currency. `charged_in` is the order's currency, if it is another one.
    """
    posting = postings.purchase(
        key=key, user_id=user_id, stars=stars, tax_minor=tax_minor, charge=charge
    )
    await record_line(session, platform_id, charge)
    booked = await ledger.book(session, platform_id, posting, at=charge.at)
    if booked.new:
        cash = charge.amount_minor - tax_minor
        lot = StarLot(
            stars=stars,
            cash_minor=cash,
            tax_minor=tax_minor,
            currency=charge.currency,
            charged_in=charged_in or charge.currency,
            bought_at=charge.at,
        )
        await _add_lot(session, platform_id, user_id, booked.transaction_id, lot)
    return booked


async def grant(
    session: AsyncSession,
    *,
    platform_id: UUID,
    user_id: UUID,
    key: str,
    stars: int,
    currency: str,
    at: datetime | None = None,
) -> Booked:
    """Promotional Stars, once per `key` (`promotion:{campaign}:{user}`); they can't be refunded."""
    now = at or datetime.now(UTC)
    posting = postings.promotion(key=key, user_id=user_id, stars=stars)
    booked = await ledger.book(session, platform_id, posting, at=now)
    if booked.new:
        lot = StarLot(
            stars=stars,
            cash_minor=0,
            currency=currency,
            charged_in=currency,
            promotional=True,
            bought_at=now,
        )
        await _add_lot(session, platform_id, user_id, booked.transaction_id, lot)
    return booked


async def _add_lot(
    session: AsyncSession, platform_id: UUID, user_id: UUID, transaction_id: UUID, lot: StarLot
) -> None:
    wallet_id = await session.scalar(
        sa.select(LedgerAccount.id).where(
            LedgerAccount.platform_id == platform_id,
            LedgerAccount.kind == AccountKind.WALLET,
            LedgerAccount.owner == str(user_id),
        )
    )
    assert wallet_id is not None  # noqa: S101 - the posting has made it
    lot.id, lot.wallet_id = transaction_id, wallet_id
    session.add(lot)
    await session.flush()
