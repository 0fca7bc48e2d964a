"""Stars leave a wallet as a tip: one transaction, two round trips, no row that tips share."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.db import raw_connection
from core.errors import Conflict
from payouts import ledger, postings
from payouts.ledger import Booked
from payouts.lots import Lot, take
from payouts.postings import Pin, Share, Terms

_WALLET = "select * from star_wallet($1, $2, $3)"


class StarsMissing(Conflict):
    code = "stars_missing"
    title = "There are not enough Stars in the wallet"


class WalletFrozen(Conflict):
    code = "wallet_frozen"
    title = "The wallet is frozen while the bank looks into a payment"


@dataclass(frozen=True)
class Wallet:
    """A wallet that this transaction has locked."""

    lots: tuple[Lot, ...]
    """Those with Stars left, oldest first."""

    open_disputes: int
    booked: UUID | None
    """The transaction that the key was booked by before."""


async def open_wallet(
    session: AsyncSession, *, platform_id: UUID, user_id: UUID, key: str
) -> Wallet:
    """Locks the wallet: whatever moves its Stars waits here, and nothing else does."""
    raw = await raw_connection(session)
    rows = await raw.fetch(_WALLET, platform_id, str(user_id), key)
    first = rows[0]
    lots = tuple(_lot(row) for row in rows if row["lot_id"] is not None)
    return Wallet(lots, first["open_disputes"] or 0, first["booked"])


def _lot(row: Any) -> Lot:
    return Lot(row["lot_id"], row["stars"], row["gone"], row["cash_minor"], row["promotional"])


async def book_tip(
    session: AsyncSession,
    *,
    platform_id: UUID,
    payer_id: UUID,
    key: str,
    stars: int,
    shares: Sequence[Share],
    terms: Terms,
    pin: Pin | None = None,
) -> Booked:
    """`stars` (above 0) of the payer's to those of `shares`, by their weights, exact to the unit.

    `key` is the payer's own (`tip:{payer}:{client key}`); booked before, it changes nothing and
    the former tip is returned, whatever is in the wallet now. The call is the one place where a
    tip can wait, for another of the same wallet; commit soon after it. Raises StarsMissing,
    WalletFrozen.
    """
    wallet = await open_wallet(session, platform_id=platform_id, user_id=payer_id, key=key)
    if wallet.booked is not None:
        return Booked(wallet.booked, new=False)
    if wallet.open_disputes:
        raise WalletFrozen
    taken = take(wallet.lots, stars)
    there = sum(t.stars for t in taken)
    if there < stars:
        raise StarsMissing(f"{there} Stars are there, {stars} are needed.", available=there)
    now = datetime.now(UTC)
    posting = postings.tip(
        key=key, payer_id=payer_id, taken=taken, shares=shares, terms=terms, at=now, pin=pin
    )
    return await ledger.book(session, platform_id, posting, at=now)
