"""Transfers to creators in the books: first an intent, then what became of it at Stripe.

An intent is committed before Stripe is asked, with its id as the idempotency key. Its state only
moves forward.
"""

from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Conflict, NotFound
from payouts import ledger, payout_postings
from payouts.balance_transactions import record_line
from payouts.clock import money_now
from payouts.creators import earnings, lock_creators
from payouts.ledger import Booked
from payouts.models import Creator
from payouts.postings import BalanceTransaction
from payouts.stripe_facts import IntentState, TransferIntent


class IntentSettled(Conflict):
    code = "transfer_settled"
    title = "The transfer has ended another way"


async def intend_transfer(
    session: AsyncSession,
    *,
    platform_id: UUID,
    creator_id: UUID,
    destination: str,
    currency: str,
    minimum_minor: int = 1,
    now: datetime | None = None,
) -> TransferIntent | None:
    """Makes an open intent of all that has matured at `now`; None if that is below the minimum.

    Also None while another intent of the creator is open, so that two sweeps at once pay once.
    """
    now = now or await money_now(session)
    await lock_creators(session, platform_id, [creator_id])
    matured_minor = await _transferable(session, platform_id, creator_id, currency, now)
    if matured_minor < max(minimum_minor, 1):
        return None
    intent = TransferIntent(
        platform_id=platform_id,
        creator_id=creator_id,
        amount_minor=matured_minor,
        currency=currency,
        destination=destination,
        created_at=now,
    )
    session.add(intent)
    await session.flush()
    posting = payout_postings.transfer_intent(
        intent_id=intent.id,
        creator_id=creator_id,
        amount_minor=matured_minor,
        currency=currency,
    )
    await ledger.book(session, platform_id, posting, at=now)
    return intent


async def _transferable(
    session: AsyncSession, platform_id: UUID, creator_id: UUID, currency: str, now: datetime
) -> int:
    """All that has matured; 0 while another intent of the creator is open."""
    is_open = sa.exists().where(
        TransferIntent.platform_id == platform_id,
        TransferIntent.creator_id == creator_id,
        TransferIntent.state == IntentState.OPEN,
    )
    if await session.scalar(sa.select(is_open)):
        return 0
    found = await earnings(
        session, platform_id=platform_id, creator_id=creator_id, currency=currency, now=now
    )
    return found.matured_minor


async def transfer_confirmed(
    session: AsyncSession, *, intent_id: UUID, stripe_transfer: str, line: BalanceTransaction
) -> None:
    """Stripe has made the transfer (`tr_...`). Idempotent. Raises IntentSettled if the intent was
    refused, or confirmed with another transfer."""
    intent = await _locked(session, intent_id)
    await record_line(session, intent.platform_id, line, transfer_intent_id=intent.id)
    if intent.state is not IntentState.OPEN:
        if intent.stripe_transfer != stripe_transfer:
            raise IntentSettled(f"The transfer is {intent.state.value}.")
        return
    intent.state, intent.stripe_transfer = IntentState.CONFIRMED, stripe_transfer
    intent.settled_at = line.at
    posting = payout_postings.transfer_confirmed(
        intent_id=intent.id,
        destination=intent.destination,
        amount_minor=intent.amount_minor,
        line=line,
    )
    await ledger.book(session, intent.platform_id, posting, at=line.at)


async def transfer_refused(
    session: AsyncSession, *, intent_id: UUID, error_code: str, at: datetime | None = None
) -> None:
    """Stripe has certainly not made it and will not: the sum is the creator's again.

    Idempotent. Raises IntentSettled if it was made.
    """
    intent = await _locked(session, intent_id)
    if intent.state is IntentState.REFUSED:
        return
    if intent.state is IntentState.CONFIRMED:
        raise IntentSettled(f"The transfer is {intent.state.value}.")
    now = at or datetime.now(UTC)
    intent.state, intent.error_code, intent.settled_at = IntentState.REFUSED, error_code, now
    posting = payout_postings.transfer_refused(
        intent_id=intent.id,
        creator_id=intent.creator_id,
        amount_minor=intent.amount_minor,
        currency=intent.currency,
    )
    await ledger.book(session, intent.platform_id, posting, at=now)


async def transfer_reversed(
    session: AsyncSession,
    *,
    intent_id: UUID,
    reversal: str,
    line: BalanceTransaction,
    at: datetime | None = None,
) -> Booked:
    """`line.amount_minor` of a confirmed transfer came back, by Stripe's reversal `trr_...`.

    `at` is when we learned of it. Raises IntentSettled if the transfer is not confirmed.
    """
    intent = await _locked(session, intent_id)
    if intent.state is not IntentState.CONFIRMED:
        raise IntentSettled(f"The transfer is {intent.state.value}.")
    await record_line(session, intent.platform_id, line)
    posting = payout_postings.transfer_reversed(
        reversal=reversal,
        creator_id=intent.creator_id,
        destination=intent.destination,
        line=line,
    )
    now = at or await money_now(session)
    booked = await ledger.book(session, intent.platform_id, posting, at=now)
    if booked.new:
        intent.reversed_minor += line.amount_minor
        await session.flush()
    return booked


async def payout_paid(
    session: AsyncSession,
    *,
    platform_id: UUID,
    creator_id: UUID,
    payout: str,
    account: str,
    amount_minor: int,
    currency: str,
    at: datetime | None = None,
) -> Booked:
    """A connected account's payout (`po_...`) has reached its owner's bank.

    Idempotent; nothing is booked if it is known to have failed, which is always later.
    """
    row = await _creator(session, platform_id, creator_id)
    if (failed := await ledger.find(session, platform_id, f"payout:{payout}:failed")) is not None:
        return Booked(failed.id, new=False)
    posting = payout_postings.payout_paid(
        payout=payout, account=account, amount_minor=amount_minor, currency=currency
    )
    booked = await ledger.book(session, platform_id, posting, at=at)
    if booked.new:
        row.payouts_failed_at = None
    return booked


async def payout_failed(
    session: AsyncSession,
    *,
    platform_id: UUID,
    creator_id: UUID,
    payout: str,
    account: str,
    amount_minor: int,
    currency: str,
    at: datetime | None = None,
) -> Booked | None:
    """It has failed, perhaps after it had been paid; the creator is flagged.

    Returns None if nothing had been booked that has to be reversed.
    """
    row = await _creator(session, platform_id, creator_id)
    row.payouts_failed_at = at or datetime.now(UTC)
    if await ledger.find(session, platform_id, f"payout:{payout}:paid") is None:
        return None
    posting = payout_postings.payout_failed(
        payout=payout, account=account, amount_minor=amount_minor, currency=currency
    )
    return await ledger.book(session, platform_id, posting, at=at)


async def _creator(session: AsyncSession, platform_id: UUID, creator_id: UUID) -> Creator:
    await lock_creators(session, platform_id, [creator_id])
    found = await session.get(Creator, (platform_id, creator_id))
    if found is None:
        raise NotFound("They have not earned anything yet.")
    return found


async def _locked(session: AsyncSession, intent_id: UUID) -> TransferIntent:
    found = await session.get(
        TransferIntent, intent_id, populate_existing=True, with_for_update=True
    )
    if found is None:
        raise NotFound(f"There is no transfer {intent_id}.")
    return found
