"""Disputes in the books. A lost one takes the buyer's unspent Stars first, then tips, newest first.

A tip that has matured is never clawed back: the platform bears its part of the loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Conflict, NotFound
from payouts import claim_postings, ledger
from payouts.accounts import AccountKind
from payouts.balance_transactions import record_line
from payouts.claim_models import (
    DisputeClaim,
    DisputeHold,
    DisputeState,
    LotDispute,
    LotReturn,
    ReturnState,
)
from payouts.claim_postings import Claims, Disputed, Held
from payouts.clock import money_now
from payouts.creators import lock_creators
from payouts.lot_returns import LotUnknown
from payouts.lots import most_stars_within, part, take_from
from payouts.models import (
    EventKind,
    LedgerAccount,
    LedgerEntry,
    LedgerTransaction,
    StarAllocation,
    StarLot,
)
from payouts.postings import BalanceTransaction
from payouts.spending import open_wallet


class DisputeClosed(Conflict):
    code = "dispute_closed"
    title = "The dispute has ended another way"


@dataclass(frozen=True)
class Claim:
    """What a dispute takes of one tip."""

    tip_id: UUID
    cash_minor: int
    holds: tuple[Held, ...]


async def open_dispute(
    session: AsyncSession,
    *,
    platform_id: UUID,
    user_id: UUID,
    lot_id: UUID,
    stripe_dispute: str,
    line: BalanceTransaction,
    at: datetime | None = None,
) -> LotDispute:
    """The bank takes `-line.amount_minor` back: the wallet freezes, and creators' parts are held.

    Idempotent: a known dispute is returned. `at` is when we learned of it. Tips that had matured by
    then are not held, since what they earned may have been transferred. Raises LotUnknown.
    """
    wallet = await open_wallet(session, platform_id=platform_id, user_id=user_id)
    if (known := await _by_name(session, platform_id, stripe_dispute)) is not None:
        return known
    lot = await session.get(StarLot, lot_id, populate_existing=True)
    if lot is None or lot.wallet_id != wallet.id:
        raise LotUnknown
    await record_line(session, platform_id, line)
    dispute = _row(lot, platform_id, user_id, stripe_dispute, line)
    session.add(dispute)
    await session.flush()
    now = at or await money_now(session)
    claims = await _claim(session, dispute, lot, now)
    await _freeze(session, lot.wallet_id, 1)
    posting = claim_postings.dispute_opened(_facts(dispute, lot, claims), line)
    await ledger.book(session, platform_id, posting, at=now)
    return dispute


def _row(
    lot: StarLot, platform_id: UUID, user_id: UUID, name: str, line: BalanceTransaction
) -> LotDispute:
    amount = -line.amount_minor
    tax = min(amount * lot.tax_minor // max(lot.cash_minor + lot.tax_minor, 1), lot.tax_minor)
    return LotDispute(
        platform_id=platform_id,
        user_id=user_id,
        stripe_dispute=name,
        lot_id=lot.id,
        amount_minor=amount,
        tax_minor=tax,
        opened_at=line.at,
    )


async def dispute_won(
    session: AsyncSession,
    *,
    platform_id: UUID,
    stripe_dispute: str,
    line: BalanceTransaction,
    at: datetime | None = None,
) -> None:
    """`line` brings the money back; `at` is when we learned of it. Idempotent.

    Raises NotFound, DisputeClosed.
    """
    dispute, lot = await _locked(session, platform_id, stripe_dispute)
    if dispute.state is DisputeState.WON:
        return
    claims = await _close(session, dispute, lot, DisputeState.WON, line.at)
    await record_line(session, platform_id, line)
    posting = claim_postings.dispute_won(_facts(dispute, lot, claims), line)
    now = at or await money_now(session)
    await ledger.book(session, platform_id, posting, at=now)


async def dispute_lost(
    session: AsyncSession,
    *,
    platform_id: UUID,
    stripe_dispute: str,
    at: datetime | None = None,
) -> None:
    """Unspent Stars are revoked, and what was held is not paid to the creators. Idempotent.

    Raises NotFound, DisputeClosed.
    """
    dispute, lot = await _locked(session, platform_id, stripe_dispute)
    if dispute.state is DisputeState.LOST:
        return
    now = at or datetime.now(UTC)
    claims = await _close(session, dispute, lot, DisputeState.LOST, now)
    limit = dispute.amount_minor - dispute.tax_minor - claims.cash_minor
    stars = most_stars_within(lot.as_lot, max(limit, 0))
    revoked = take_from(lot.as_lot, stars) if stars else None
    posting = claim_postings.dispute_lost(_facts(dispute, lot, claims), revoked)
    await ledger.book(session, platform_id, posting, at=now)


async def revoke_returned(session: AsyncSession, *, return_id: UUID) -> None:
    """Revokes Stars that a failed refund has returned, for lost disputes of their lot.

    While they were being refunded those disputes could not take them, although the bank has given
    the buyer that money. Called in the transaction that books the failure.
    """
    made = await session.get_one(LotReturn, return_id)
    lot = await session.get_one(StarLot, made.lot_id, populate_existing=True)
    lost = sa.select(LotDispute).where(
        LotDispute.lot_id == lot.id, LotDispute.state == DisputeState.LOST
    )
    for dispute in await session.scalars(lost.order_by(LotDispute.opened_at, LotDispute.id)):
        short = await _short_minor(session, dispute)
        stars = most_stars_within(lot.as_lot, max(short, 0))
        if stars == 0:
            continue
        revoked = take_from(lot.as_lot, stars)
        facts = _facts(dispute, lot, Claims(0, ()))
        posting = claim_postings.returned_revoked(facts, revoked, return_id)
        await ledger.book(session, made.platform_id, posting, at=made.settled_at)
        await session.refresh(lot)


async def _short_minor(session: AsyncSession, dispute: LotDispute) -> int:
    """What neither claimed tips nor revoked Stars cover of a lost dispute."""
    name = f"dispute:{dispute.stripe_dispute}:"
    claimed = sa.select(sa.func.coalesce(sa.func.sum(DisputeClaim.cash_minor), 0)).where(
        DisputeClaim.dispute_id == dispute.id
    )
    revoked = (
        sa.select(sa.func.coalesce(sa.func.sum(StarAllocation.cash_minor), 0))
        .join(LedgerTransaction, LedgerTransaction.id == StarAllocation.transaction_id)
        .where(
            StarAllocation.lot_id == dispute.lot_id,
            LedgerTransaction.platform_id == dispute.platform_id,
            LedgerTransaction.external_key.startswith(name, autoescape=True),
        )
    )
    covered = int(await session.scalar(claimed) or 0) + int(await session.scalar(revoked) or 0)
    return dispute.amount_minor - dispute.tax_minor - covered


async def _claim(session: AsyncSession, dispute: LotDispute, lot: StarLot, now: datetime) -> Claims:
    """Claims tips for what the lot's unspent cash does not cover, and stores the claims."""
    unspent = lot.as_lot.cash_left_minor + await _under_way_minor(session, lot.id)
    short = dispute.amount_minor - dispute.tax_minor - unspent
    claims: list[Claim] = []
    if short > 0:
        claims = await _newest_tips(session, dispute, short, now)
    for claim in claims:
        session.add(
            DisputeClaim(dispute_id=dispute.id, tip_id=claim.tip_id, cash_minor=claim.cash_minor)
        )
    await session.flush()
    session.add_all(
        DisputeHold(
            dispute_id=dispute.id,
            tip_id=claim.tip_id,
            creator_id=hold.creator_id,
            amount_minor=hold.amount_minor,
            held=hold.held,
        )
        for claim in claims
        for hold in claim.holds
    )
    await session.flush()
    return _sum(claims)


def _sum(claims: Sequence[Claim]) -> Claims:
    return Claims(
        sum(claim.cash_minor for claim in claims),
        tuple(hold for claim in claims for hold in claim.holds),
    )


async def _under_way_minor(session: AsyncSession, lot_id: UUID) -> int:
    """The cash of a refund of this lot that has not ended."""
    total = await session.scalar(
        sa.select(sa.func.sum(LotReturn.cash_minor)).where(
            LotReturn.lot_id == lot_id, LotReturn.state == ReturnState.REQUESTED
        )
    )
    return int(total or 0)


@dataclass(frozen=True)
class _Tip:
    """A tip out of the lot: the Stars of it that were the lot's, and the cash they released."""

    id: UUID
    matures_at: datetime
    stars: int
    whole: int
    """All Stars of the tip, those of other lots too."""
    offset: int
    """How many of these come before the lot's."""
    cash_minor: int
    claimed_minor: int
    """Of this cash, by other disputes."""


async def _newest_tips(
    session: AsyncSession, dispute: LotDispute, cash_minor: int, now: datetime
) -> list[Claim]:
    tips = await _tips_of(session, dispute.lot_id)
    earned = await _earnings(session, [tip.id for tip in tips])
    creators = {creator for shares in earned.values() for creator in shares}
    deleted = await lock_creators(session, dispute.platform_id, creators)
    claims: list[Claim] = []
    for tip in tips:
        cash = min(tip.cash_minor - tip.claimed_minor, cash_minor)
        if cash > 0:
            cash_minor -= cash
            immature = tip.matures_at > now
            claims.append(_claim_on(tip, cash, earned[tip.id], deleted, immature=immature))
    return claims


def _claim_on(
    tip: _Tip, cash: int, earned: dict[UUID, int], deleted: set[UUID], *, immature: bool
) -> Claim:
    """Each creator's part: of what the tip earned, the share of this lot's Stars, and of that the
    share of the cash that is claimed; both by cumulative floors."""
    holds = []
    for creator, amount in earned.items():
        by_lot = part(amount, begin=tip.offset, end=tip.offset + tip.stars, whole=tip.whole)
        begin, end = tip.claimed_minor, tip.claimed_minor + cash
        mine = part(by_lot, begin=begin, end=end, whole=tip.cash_minor)
        if mine > 0:
            holds.append(Held(creator, mine, immature and creator not in deleted))
    return Claim(tip.id, cash, tuple(holds))


async def _tips_of(session: AsyncSession, lot_id: UUID) -> list[_Tip]:
    claimed = (
        sa.select(sa.func.coalesce(sa.func.sum(DisputeClaim.cash_minor), 0))
        .join(LotDispute, LotDispute.id == DisputeClaim.dispute_id)
        .where(
            DisputeClaim.tip_id == LedgerTransaction.id,
            LotDispute.lot_id == lot_id,
            LotDispute.state != DisputeState.WON,
        )
        .scalar_subquery()
    )
    rows = await session.execute(
        sa.select(LedgerTransaction, StarAllocation, claimed)
        .join(StarAllocation, StarAllocation.transaction_id == LedgerTransaction.id)
        .where(StarAllocation.lot_id == lot_id, LedgerTransaction.kind == EventKind.TIP)
        .order_by(LedgerTransaction.at.desc(), LedgerTransaction.id.desc())
    )
    return [_tip(transaction, taken, int(other)) for transaction, taken, other in rows]


def _tip(transaction: LedgerTransaction, taken: StarAllocation, claimed_minor: int) -> _Tip:
    assert transaction.matures_at is not None  # noqa: S101 - every tip has it
    return _Tip(
        id=transaction.id,
        matures_at=transaction.matures_at,
        stars=taken.stars,
        whole=transaction.facts["stars"],
        offset=taken.offset,
        cash_minor=taken.cash_minor,
        claimed_minor=claimed_minor,
    )


async def _earnings(session: AsyncSession, tips: Sequence[UUID]) -> dict[UUID, dict[UUID, int]]:
    """What each tip earned: by tip, then by creator, in minor units."""
    rows = await session.execute(
        sa.select(LedgerEntry.transaction_id, LedgerAccount.owner, LedgerEntry.amount)
        .join(LedgerAccount, LedgerAccount.id == LedgerEntry.account_id)
        .where(LedgerEntry.transaction_id.in_(tips), LedgerAccount.kind == AccountKind.CREATOR)
        .order_by(LedgerEntry.id)
    )
    earned: dict[UUID, dict[UUID, int]] = {tip: {} for tip in tips}
    for tip, owner, amount in rows:
        earned[tip][UUID(owner)] = -amount
    return earned


async def _close(
    session: AsyncSession,
    dispute: LotDispute,
    lot: StarLot,
    state: DisputeState,
    at: datetime,
) -> Claims:
    if dispute.state is not DisputeState.OPEN:
        raise DisputeClosed(f"The dispute is {dispute.state.value}.")
    dispute.state, dispute.closed_at = state, at
    await _freeze(session, lot.wallet_id, -1)
    cash = await session.scalar(
        sa.select(sa.func.sum(DisputeClaim.cash_minor)).where(DisputeClaim.dispute_id == dispute.id)
    )
    holds = await session.scalars(
        sa.select(DisputeHold)
        .where(DisputeHold.dispute_id == dispute.id)
        .order_by(DisputeHold.tip_id, DisputeHold.creator_id)
    )
    held = tuple(Held(hold.creator_id, hold.amount_minor, hold.held) for hold in holds)
    return Claims(int(cash or 0), held)


async def _freeze(session: AsyncSession, wallet_id: int, disputes: int) -> None:
    await session.execute(
        sa.update(LedgerAccount)
        .where(LedgerAccount.id == wallet_id)
        .values(open_disputes=LedgerAccount.open_disputes + disputes)
        .execution_options(synchronize_session=False)
    )


def _facts(dispute: LotDispute, lot: StarLot, claims: Claims) -> Disputed:
    return Disputed(
        stripe_dispute=dispute.stripe_dispute,
        user_id=dispute.user_id,
        amount_minor=dispute.amount_minor,
        tax_minor=dispute.tax_minor,
        currency=lot.currency,
        charged_in=lot.charged_in,
        claims=claims,
    )


async def _by_name(
    session: AsyncSession, platform_id: UUID, stripe_dispute: str
) -> LotDispute | None:
    return await session.scalar(
        sa.select(LotDispute)
        .where(LotDispute.platform_id == platform_id, LotDispute.stripe_dispute == stripe_dispute)
        .execution_options(populate_existing=True)
    )


async def _locked(
    session: AsyncSession, platform_id: UUID, stripe_dispute: str
) -> tuple[LotDispute, StarLot]:
    """Behind the wallet's lock, as everything that moves its Stars."""
    found = await _by_name(session, platform_id, stripe_dispute)
    if found is None:
        raise NotFound(f"There is no dispute {stripe_dispute}.")
    await open_wallet(session, platform_id=platform_id, user_id=found.user_id)
    dispute = await session.get_one(LotDispute, found.id, populate_existing=True)
    return dispute, await session.get_one(StarLot, dispute.lot_id, populate_existing=True)
