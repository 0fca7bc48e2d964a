"""Stripe's events: each stored once, then worked on by a job that fetches what it is about."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Problem, Unavailable
from core.queue import enqueue
from payouts.alerts import set_aside
from payouts.cashier import Cashier
from payouts.gateway import API_VERSION
from payouts.gateway_models import InboxEvent, InboxState
from payouts.stripe_objects import StripeEvent

log = logging.getLogger(__name__)

EVENT_JOB: Final = "payouts.event"

_LEFT_ALONE: Final = """
    payment_intent.created payment_intent.requires_action payment_intent.processing
    payment_intent.canceled charge.failed charge.pending charge.refunded balance.available
    customer.created customer.updated customer.deleted payment_method.attached
    account.external_account.created account.external_account.updated
    account.external_account.deleted account.application.authorized capability.updated
    payout.reconciliation_completed person.created person.updated
"""
LEFT_ALONE: Final = frozenset(_LEFT_ALONE.split())
"""Known kinds that need no work: another event tells the same, or nothing of ours changes."""

Handler = Callable[[Cashier, InboxEvent], Awaitable[None]]


async def receive(session: AsyncSession, event: StripeEvent, *, livemode: bool) -> bool:
    """Stores the event and queues its job in one transaction; False if it was known before.

    An event of the other mode (test or live) is set aside. One of another API version is reported
    to the operator but worked on as well, since only its ids are used.
    """
    state = _state_of(event, livemode)
    row = {
        "id": event.id,
        "kind": event.kind,
        "subject": event.subject,
        "account": event.account,
        "api_version": event.api_version,
        "livemode": event.livemode,
        "created_at": event.created_at,
        "state": state,
        "settled_at": None if state is InboxState.RECEIVED else datetime.now(UTC),
    }
    stored = insert(InboxEvent).values(row).on_conflict_do_nothing().returning(InboxEvent.id)
    if await session.scalar(stored) is None:
        return False
    if state is InboxState.SET_ASIDE:
        await set_aside(session, "event_of_the_other_mode", event.id)
        return True
    if event.api_version not in (None, API_VERSION):
        await set_aside(session, "event_of_another_api_version", event.id)
    if state is InboxState.RECEIVED:
        await enqueue(session, EVENT_JOB, {"event_id": event.id}, dedupe_key=event.id)
    return True


def _state_of(event: StripeEvent, livemode: bool) -> InboxState:
    if event.livemode != livemode:
        return InboxState.SET_ASIDE
    return InboxState.DONE if event.kind in LEFT_ALONE else InboxState.RECEIVED


async def work_on(cashier: Cashier, event_id: str, handlers: Mapping[str, Handler]) -> None:
    """Runs the handler of the event's kind. Safe to run again after a crash.

    The event is set aside if no handler knows its kind, or if Stripe or the books refuse it.
    """
    async with cashier.database.transaction() as session:
        event = await session.get(InboxEvent, event_id)
    if event is None or event.state is not InboxState.RECEIVED:
        return
    trouble = await _trouble(cashier, event, handlers)
    async with cashier.database.transaction() as session:
        if trouble is not None:
            await set_aside(session, trouble, event.id)
        state = InboxState.DONE if trouble is None else InboxState.SET_ASIDE
        mine = sa.update(InboxEvent).where(InboxEvent.id == event.id)
        await session.execute(mine.values(state=state, settled_at=datetime.now(UTC)))


async def _trouble(
    cashier: Cashier, event: InboxEvent, handlers: Mapping[str, Handler]
) -> str | None:
    """Why an operator has to look at the event, if so: trying again would change nothing."""
    handler = handlers.get(event.kind)
    if handler is None:
        return "unknown_event"
    try:
        await handler(cashier, event)
    except Unavailable:
        raise  # temporary: the job tries again
    except Problem as refused:
        log.warning("event %s: %s", event.id, refused.detail)
        return refused.code
    return None


async def enqueue_waiting(session: AsyncSession, *, older_than: timedelta) -> int:
    """Queues the events again that have waited so long: their jobs were given up or lost.

    Returns how many there are.
    """
    since = datetime.now(UTC) - older_than
    waiting = sa.select(InboxEvent.id).where(
        InboxEvent.state == InboxState.RECEIVED, InboxEvent.received_at < since
    )
    found = (await session.scalars(waiting)).all()
    for event_id in found:
        await enqueue(session, EVENT_JOB, {"event_id": event_id}, dedupe_key=event_id)
    return len(found)
