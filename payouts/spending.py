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

    id: int | None
    """Its account's; None where nothing ever came in."""

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
    return Wallet(first["wallet_id"], lots, first["open_disputes"] or 0, first["booked"])


def _lot(row: Any) -> Lot:
    return Lot(row["lot_id"], row["stars"], row["gone"], row["cash_minor"], row["promotional"])


@dataclass(frozen=True)
class Tip:
    """Stars of one payer to those of `shares`, by their weights."""

    payer_id: UUID
    key: str
    """The payer's own name for it, unique on the platform: `tip:{payer}:{client key}`."""

    stars: int
    shares: Sequence[Share]
    pin: Pin | None = None
    at: datetime | None = None
    """Now unless given."""


async def book_tip(session: AsyncSession, *, platform_id: UUID, tip: Tip, terms: Terms) -> Booked:
    """Moves the Stars and what they earn, exact to the unit, once for each key.

    A key that was booked before changes nothing and gives the former transaction, whatever is in
    the wallet now. A tip waits for others of the same wallet alone: commit soon after it. Raises
    StarsMissing, WalletFrozen.
    """
    wallet = await open_wallet(session, platform_id=platform_id, user_id=tip.payer_id, key=tip.key)
    if wallet.booked is not None:
        return Booked(wallet.booked, new=False)
    if wallet.open_disputes:
        raise WalletFrozen
    taken = take(wallet.lots, tip.stars)
    there = sum(t.stars for t in taken)
    if there < tip.stars:
        raise StarsMissing(f"{there} Stars are there, {tip.stars} are needed.", available=there)
    now = tip.at or datetime.now(UTC)
    posting = postings.tip(
        key=tip.key,
        payer_id=tip.payer_id,
        taken=taken,
        shares=tip.shares,
        terms=terms,
        at=now,
        pin=tip.pin,
    )
    return await ledger.book(session, platform_id, posting, at=now)
