"""Transfers matured earnings to connected accounts: each once, whatever crashes on the way.

An intent is committed together with its entries in the ledger; then Stripe is asked, with the
intent's id as the idempotency key. While the intent stays open, the call is repeated with the same
key until the intent is older than KEYS_KEPT. From then on Stripe may have forgotten the key: the
transfers of the intent's group are listed instead, and one that is found is adopted. If there is
none, the intent is refused, but only after CALLS_END more, when no earlier call can be on its way.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.queue import enqueue
from core.settings import Settings
from payouts.alerts import set_aside
from payouts.cashier import Cashier
from payouts.clock import money_now
from payouts.creators import earnings
from payouts.gateway import CALLS_END, KEYS_KEPT, NOT_MADE, OutcomeUnknown, StripeRefused
from payouts.gateway_models import ConnectedAccount
from payouts.models import Creator
from payouts.stripe_facts import IntentState, TransferIntent
from payouts.stripe_objects import Transfer
from payouts.transfers import (
    intend_transfer,
    transfer_confirmed,
    transfer_refused,
    transfer_reversed,
)

log = logging.getLogger(__name__)

TRANSFER_JOB: Final = "payouts.transfer"


@dataclass(frozen=True, slots=True)
class Due:
    """What a sweep would transfer to a creator; `leaving` ones need not reach the minimum."""

    platform_id: UUID
    creator_id: UUID
    destination: str
    """`acct_...`"""
    amount_minor: int
    leaving: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """Creators whom a sweep passes over."""

    below: int
    """Who could be paid but have less than the minimum."""
    below_minor: int
    """What these have together that is matured."""
    unready: int
    """To whom nothing can be transferred yet, however much they have."""


async def sweep(cashier: Cashier, *, now: datetime | None = None) -> int:
    """Makes an intent, and a job for its transfer, for everybody who is due; returns how many.

    Each creator has a transaction of their own, so that none waits for the others.
    """
    async with cashier.database.transaction() as session:
        found = await due(session, cashier.settings, now=now)
    return sum([await intend(cashier, each, now=now) is not None for each in found])


async def due(
    session: AsyncSession,
    settings: Settings,
    *,
    platform_id: UUID | None = None,
    now: datetime | None = None,
) -> list[Due]:
    """Whom a sweep would pay now, and how much; of one platform or of all."""
    return [
        each
        for each in await _matured(session, settings, platform_id, now)
        if each.amount_minor >= (1 if each.leaving else settings.sweep_minimum_minor)
    ]


async def waiting(
    session: AsyncSession,
    settings: Settings,
    *,
    platform_id: UUID | None = None,
    now: datetime | None = None,
) -> Waiting:
    """How many creators `due` leaves out, by the reason."""
    found = await _matured(session, settings, platform_id, now)
    minimum = settings.sweep_minimum_minor
    below = [
        each.amount_minor for each in found if 0 < each.amount_minor < minimum and not each.leaving
    ]
    ready = sa.exists().where(_own_account(), ConnectedAccount.transfers_active)
    unready = sa.select(sa.func.count()).select_from(Creator)
    unready = unready.where(~ready, Creator.leaving_at.is_(None))
    if platform_id is not None:
        unready = unready.where(Creator.platform_id == platform_id)
    return Waiting(len(below), sum(below), int(await session.scalar(unready) or 0))


async def _matured(
    session: AsyncSession, settings: Settings, platform_id: UUID | None, now: datetime | None
) -> list[Due]:
    """What everybody who can be paid has that is matured, even if that is nothing."""
    now = now or await money_now(session)
    return [
        await _due(session, creator, account, settings.settlement_currency, now)
        for creator, account in await _payable(session, platform_id)
    ]


async def _due(
    session: AsyncSession,
    creator: Creator,
    account: ConnectedAccount,
    currency: str,
    now: datetime,
) -> Due:
    assert account.account is not None  # noqa: S101 - it can be transferred to
    owner = {"platform_id": creator.platform_id, "creator_id": creator.user_id}
    found = await earnings(session, **owner, currency=currency, now=now)
    return Due(
        **owner,
        destination=account.account,
        amount_minor=0 if found.in_transfer_minor else found.matured_minor,
        leaving=creator.leaving_at is not None,
    )


async def _payable(
    session: AsyncSession, platform_id: UUID | None
) -> Sequence[tuple[Creator, ConnectedAccount]]:
    can = sa.and_(ConnectedAccount.transfers_active, Creator.deleted_at.is_(None))
    rows = sa.select(Creator, ConnectedAccount).join(ConnectedAccount, _own_account()).where(can)
    if platform_id is not None:
        rows = rows.where(Creator.platform_id == platform_id)
    found = await session.execute(rows.order_by(ConnectedAccount.id))
    return [(creator, account) for creator, account in found]


def _own_account() -> sa.ColumnElement[bool]:
    return sa.and_(
        Creator.platform_id == ConnectedAccount.platform_id,
        Creator.user_id == ConnectedAccount.user_id,
    )


async def intend(
    cashier: Cashier, each: Due, *, now: datetime | None = None
) -> TransferIntent | None:
    """Makes an intent and queues its job; None if somebody else has just made one."""
    async with cashier.database.transaction() as session:
        intent = await intend_transfer(
            session,
            platform_id=each.platform_id,
            creator_id=each.creator_id,
            destination=each.destination,
            currency=cashier.settings.settlement_currency,
            minimum_minor=1 if each.leaving else cashier.settings.sweep_minimum_minor,
            now=now,
        )
        if intent is not None:
            await _enqueue_transfer(session, intent.id)
    return intent


async def _enqueue_transfer(session: AsyncSession, intent_id: UUID) -> None:
    payload = {"intent_id": str(intent_id)}
    await enqueue(session, TRANSFER_JOB, payload, dedupe_key=str(intent_id))


async def open_intents(
    session: AsyncSession, platform_id: UUID | None = None
) -> Sequence[TransferIntent]:
    """The intents of which it is not known yet whether Stripe made the transfer."""
    still = sa.select(TransferIntent).where(TransferIntent.state == IntentState.OPEN)
    if platform_id is not None:
        still = still.where(TransferIntent.platform_id == platform_id)
    return (await session.scalars(still.order_by(TransferIntent.id))).all()


async def enqueue_open_transfers(cashier: Cashier) -> int:
    """Queues a job for each open intent that has none, such as one whose job was given up.

    Returns how many intents are open.
    """
    async with cashier.database.transaction() as session:
        found = await open_intents(session)
        for intent in found:
            await _enqueue_transfer(session, intent.id)
    return len(found)


async def make_transfer(cashier: Cashier, intent_id: UUID, *, now: datetime | None = None) -> None:
    """Has Stripe make the transfer of an open intent, and books how that ended.

    Raises Unavailable (OutcomeUnknown above all): try again later.
    """
    async with cashier.database.transaction() as session:
        intent = await session.get_one(TransferIntent, intent_id)
        now = now or await money_now(session)
    if intent.state is not IntentState.OPEN:
        return
    age = now - intent.created_at
    if age > KEYS_KEPT:
        if not await _adopt(cashier, intent, or_close=age > KEYS_KEPT + CALLS_END):
            raise OutcomeUnknown
        return
    try:
        made = await cashier.gateway.transfer(
            key=str(intent_id),
            destination=intent.destination,
            amount_minor=intent.amount_minor,
            currency=intent.currency,
            group=str(intent_id),
            metadata={"intent": str(intent_id)},
        )
    except StripeRefused as refused:
        await _refused(cashier, intent_id, refused.stripe_code)
    except OutcomeUnknown:
        if not await _adopt(cashier, intent, or_close=False):
            raise
    else:
        await confirm(cashier, intent_id, made)


async def _adopt(cashier: Cashier, intent: TransferIntent, *, or_close: bool) -> bool:
    """Confirms the transfer that Stripe has made for the intent, if there is one.

    `or_close`: otherwise the intent is refused. Returns whether it is settled now.
    """
    found = await cashier.gateway.transfers_of(str(intent.id))
    if found:
        await confirm(cashier, intent.id, found[0])
        for other in found[1:]:
            async with cashier.database.transaction() as session:
                await set_aside(
                    session, "second_transfer", other.id, platform_id=intent.platform_id
                )
        return True
    if or_close:
        await _refused(cashier, intent.id, NOT_MADE)
    return or_close


async def confirm(cashier: Cashier, intent_id: UUID, made: Transfer) -> None:
    """Books the transfer that Stripe has made."""
    line = made.movement
    assert line is not None  # noqa: S101 - asked for with every transfer
    async with cashier.database.transaction() as session:
        await transfer_confirmed(session, intent_id=intent_id, stripe_transfer=made.id, line=line)
    log.info("transfer %s confirmed", intent_id)


async def _refused(cashier: Cashier, intent_id: UUID, error_code: str) -> None:
    """It was certainly not made: the sum is matured again, for the next sweep's intent."""
    async with cashier.database.transaction() as session:
        now = await money_now(session)
        await transfer_refused(session, intent_id=intent_id, error_code=error_code, at=now)
    log.warning("transfer %s refused: %s", intent_id, error_code)


async def settle_transfer(cashier: Cashier, transfer_id: str) -> None:
    """Books a transfer as it is at Stripe now, with its reversals."""
    found = await cashier.gateway.transfer_now(transfer_id)
    async with cashier.database.transaction() as session:
        intent = await _intent_of(session, found)
        if intent is None:
            await set_aside(session, "foreign_transfer", found.id)
            return
    await confirm(cashier, intent.id, found)
    if not found.reversed_minor:
        return
    for reversal in await cashier.gateway.reversals_of(transfer_id):
        if reversal.movement is not None:
            async with cashier.database.transaction() as session:
                await transfer_reversed(
                    session, intent_id=intent.id, reversal=reversal.id, line=reversal.movement
                )


async def _intent_of(session: AsyncSession, found: Transfer) -> TransferIntent | None:
    try:
        return await session.get(TransferIntent, UUID(found.transfer_group or ""))
    except ValueError:
        return None
