"""Stars leave wallets as tips: many tips in one transaction, two round trips for all of them.

No row is touched that tips of several wallets share.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.db import raw_connection
from core.errors import Conflict
from payouts import postings
from payouts.accounts import Account
from payouts.amounts import stars_said
from payouts.ledger import Booked, Sheet
from payouts.lots import Lot, Taken, take
from payouts.postings import Pin, Share, Terms

_WALLETS = "select * from star_wallets($1, $2, $3, true)"


class StarsMissing(Conflict):
    code = "stars_missing"
    title = "There are not enough Stars in the wallet"


class WalletFrozen(Conflict):
    code = "wallet_frozen"
    title = "The wallet is frozen until the bank has looked into a payment"


@dataclass
class Wallet:
    """A wallet that this transaction has locked, or that nothing may have changed since."""

    id: int | None = None
    """Its account's; None where nothing ever came in."""

    version: int = 0
    """Another one once anything in it has changed."""

    lots: list[Lot] = field(default_factory=list)
    """Those with Stars left, oldest first."""

    open_disputes: int = 0

    def take(self, stars: int) -> tuple[Taken, ...]:
        """Raises StarsMissing, WalletFrozen."""
        if self.open_disputes:
            raise WalletFrozen
        taken = take(self.lots, stars)
        there = sum(t.stars for t in taken)
        if there < stars:
            have = f"{there:,}" if there else "none"
            raise StarsMissing(
                f"This tip takes {stars_said(stars)}, and you have {have}: buy some first.",
                available=there,
            )
        for number, one in enumerate(taken):  # from the first lot on
            self.lots[number] = self.lots[number].without(one.stars)
        self.lots = [lot for lot in self.lots if lot.left]
        return taken


class Tip(NamedTuple):
    """Stars of one payer to those of `shares`, by their weights."""

    payer_id: UUID
    key: str
    """The payer's own name for it, unique on the platform: `tip:{payer}:{client key}`."""

    stars: int
    shares: Sequence[Share]
    pin: Pin | None = None
    at: datetime | None = None
    """Now unless given."""


class Spending:
    """Tips of wallets that are locked until the transaction's end, or are not: then whoever books
    them must first see that the versions still hold."""

    def __init__(self, platform_id: UUID, terms: Terms) -> None:
        self.booked: dict[str, UUID] = {}
        """The transactions of the keys that were booked before."""

        self.platform_id = platform_id
        self._terms = terms
        self._wallets: dict[UUID, Wallet] = {}
        self._sheet = Sheet()

    def opened(self, payers: Iterable[UUID], rows: Iterable[Sequence[Any]]) -> None:
        """`rows`: those of `star_wallets`, which finds out too which keys are booked."""
        self._wallets, self.booked = _wallets(payers, rows)

    def tip(self, tip: Tip) -> Booked:
        """Decides. A key that was booked before changes nothing and gives the former transaction,
        whatever is in the wallet now. Raises StarsMissing, WalletFrozen, and then moves nothing.
        """
        if (former := self.booked.get(tip.key)) is not None:
            return Booked(former, new=False)
        now = tip.at or datetime.now(UTC)
        posting = postings.tip(
            key=tip.key,
            payer_id=tip.payer_id,
            taken=self._wallets[tip.payer_id].take(tip.stars),
            shares=tip.shares,
            terms=self._terms,
            at=now,
            pin=tip.pin,
        )
        made = self.booked[tip.key] = self._sheet.add(posting, now)
        return Booked(made, new=True)

    def versions(self, payers: Iterable[UUID]) -> tuple[list[int | None], list[int]]:
        """Of the wallets of these: ids, and what `star_wallets_unchanged` holds them against."""
        wallets = [self._wallets[payer] for payer in payers]
        return [each.id for each in wallets], [each.version for each in wallets]

    @property
    def accounts(self) -> Iterable[Account]:
        """In the order of the ids that `ledger_book` answers."""
        return self._sheet.accounts

    def columns(self, known: Mapping[Account, int]) -> list[object]:
        """For `ledger_book`, and functions that book among other things. `known`: the ids of
        accounts."""
        return [self.platform_id, *self._sheet.columns(known)]


async def open_wallet(session: AsyncSession, *, platform_id: UUID, user_id: UUID) -> Wallet:
    """Locks the wallet: whatever moves its Stars waits here, and nothing else does."""
    raw = await raw_connection(session)
    rows = await raw.fetch(_WALLETS, platform_id, [str(user_id)], ())
    wallets, _ = _wallets({user_id}, rows)
    return wallets[user_id]


def _wallets(
    users: Iterable[UUID], rows: Iterable[Sequence[Any]]
) -> tuple[dict[UUID, Wallet], dict[str, UUID]]:
    names = {str(user): user for user in users}
    wallets = {user: Wallet() for user in names.values()}
    booked: dict[str, UUID] = {}
    for payer, wallet_id, version, open_disputes, lot_id, *lot, key, made in rows:
        if payer is None:
            booked[key] = made
            continue
        wallet = wallets[names[payer]]
        wallet.id, wallet.version, wallet.open_disputes = wallet_id, version, open_disputes
        if lot_id is not None:
            wallet.lots.append(Lot(lot_id, *lot))
    return wallets, booked
