"""Refunds of unused Stars in the books: requested, then succeeded or failed, each booked once.

The caller commits the request before it asks Stripe, and afterwards books here how it ended.
"""

from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Conflict, NotFound
from payouts import claim_postings, ledger
from payouts.balance_transactions import record_line
from payouts.claim_models import DisputeState, LotDispute, LotReturn, ReturnState
from payouts.claim_postings import Return
from payouts.lots import Taken, take_from
from payouts.models import StarLot
from payouts.postings import BalanceTransaction
from payouts.spending import WalletFrozen, open_wallet


class LotUnknown(NotFound):
    code = "lot_unknown"
    title = "There is no such purchase in this wallet"


class NothingUnused(Conflict):
    code = "nothing_unused"
    title = "All Stars of this purchase have been used, given back or revoked"


class ReturnSettled(Conflict):
    code = "refund_settled"
    title = "The refund has ended another way"


async def request_return(
    session: AsyncSession,
    *,
    platform_id: UUID,
    user_id: UUID,
    lot_id: UUID,
    at: datetime | None = None,
    though_frozen: bool = False,
) -> LotReturn:
    """Takes all unused Stars of a purchase out of the wallet.

    `lot_id` is the purchase's transaction. The row says how many Stars they are and, in the
    settlement currency, what goes back for them: `cash_minor` and the `tax_minor` on it.

    A wallet is frozen while a payment is disputed. With `though_frozen` only a dispute of this very
    lot counts, since a dispute never takes Stars of another one. Raises LotUnknown (also for
    promotional Stars), WalletFrozen, NothingUnused.
    """
    now = at or datetime.now(UTC)
    opened = await open_wallet(session, platform_id=platform_id, user_id=user_id)
    lot = await session.get(StarLot, lot_id, populate_existing=True)
    if lot is None or lot.wallet_id != opened.id or lot.promotional:
        raise LotUnknown
    if opened.open_disputes and (not though_frozen or await _is_disputed(session, lot_id)):
        raise WalletFrozen
    if lot.gone == lot.stars:
        raise NothingUnused
    made = _all_unused(lot, platform_id, user_id, now)
    session.add(made)
    await session.flush()
    posting = claim_postings.refund_requested(_facts(made, lot))
    await ledger.book(session, platform_id, posting, at=now)
    return made


async def _is_disputed(session: AsyncSession, lot_id: UUID) -> bool:
    still = sa.exists().where(LotDispute.lot_id == lot_id, LotDispute.state == DisputeState.OPEN)
    return bool(await session.scalar(sa.select(still)))


def _all_unused(lot: StarLot, platform_id: UUID, user_id: UUID, now: datetime) -> LotReturn:
    taken = take_from(lot.as_lot, lot.as_lot.left)
    return LotReturn(
        platform_id=platform_id,
        user_id=user_id,
        lot_id=lot.id,
        stars=taken.stars,
        cash_minor=taken.cash_minor,
        tax_minor=lot.tax_left_minor,
        currency=lot.currency,
        requested_at=now,
    )


async def return_succeeded(
    session: AsyncSession, *, return_id: UUID, line: BalanceTransaction
) -> None:
    """Stripe has paid it: `line` is negative. Idempotent. Raises ReturnSettled."""
    made, lot = await _locked(session, return_id)
    if made.state is ReturnState.SUCCEEDED:
        return
    if made.state is not ReturnState.REQUESTED:
        raise ReturnSettled
    await record_line(session, made.platform_id, line)
    made.state, made.settled_at = ReturnState.SUCCEEDED, line.at
    posting = claim_postings.refund_succeeded(_facts(made, lot), line)
    await ledger.book(session, made.platform_id, posting, at=line.at)


async def return_paid(session: AsyncSession, *, return_id: UUID, at: datetime) -> None:
    """Our bank has paid it instead of Stripe. Raises ReturnSettled."""
    made, lot = await _locked(session, return_id)
    if made.state is not ReturnState.REQUESTED:
        raise ReturnSettled
    made.state, made.settled_at = ReturnState.SUCCEEDED, at
    posting = claim_postings.refund_paid(_facts(made, lot))
    await ledger.book(session, made.platform_id, posting, at=at)


async def return_failed(
    session: AsyncSession,
    *,
    return_id: UUID,
    line: BalanceTransaction | None = None,
    at: datetime | None = None,
) -> None:
    """The Stars come back into the wallet. Idempotent.

    `line` (positive) is what came back to our balance if Stripe had paid. Raises ReturnSettled when
    it is missing although Stripe had paid, or given although it had not.
    """
    made, lot = await _locked(session, return_id)
    if made.state is ReturnState.FAILED:
        return
    if (made.state is ReturnState.SUCCEEDED) != (line is not None):
        raise ReturnSettled(f"The refund is {made.state.value}.")
    if line is not None:
        await record_line(session, made.platform_id, line)
    now = line.at if line is not None else at or datetime.now(UTC)
    made.state, made.settled_at = ReturnState.FAILED, now
    posting = claim_postings.refund_failed(_facts(made, lot), line)
    await ledger.book(session, made.platform_id, posting, at=now)


def _facts(made: LotReturn, lot: StarLot) -> Return:
    return Return(
        id=made.id,
        user_id=made.user_id,
        taken=Taken(lot.id, 0, made.stars, made.cash_minor),
        tax_minor=made.tax_minor,
        currency=made.currency,
        charged_in=lot.charged_in,
    )


async def _locked(session: AsyncSession, return_id: UUID) -> tuple[LotReturn, StarLot]:
    """The refund and its lot, behind the wallet's lock, as whatever moves its Stars."""
    found = await session.get(LotReturn, return_id)
    if found is None:
        raise NotFound
    await open_wallet(session, platform_id=found.platform_id, user_id=found.user_id)
    made = await session.get_one(LotReturn, return_id, populate_existing=True, with_for_update=True)
    return made, await session.get_one(StarLot, made.lot_id)
