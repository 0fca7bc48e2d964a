"""Events that no webhook brought, fetched from Stripe: our account's and every connected one's."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from payouts import inbox
from payouts.cashier import Cashier
from payouts.gateway import NO_ACCESS, StripeRefused
from payouts.gateway_models import ConnectedAccount, InboxEvent
from payouts.onboarding import DISCONNECTED, account_closed
from payouts.stripe_objects import StripeEvent

OF_CONNECTED: Final = (
    "account.updated",
    "account.application.deauthorized",
    "payout.paid",
    "payout.failed",
    "payout.canceled",
)
"""The events of connected accounts that change something of ours."""


async def missed_events(cashier: Cashier, since: datetime) -> int:
    """Puts the missing ones into the inbox; returns how many there were."""
    found = await _take(cashier, cashier.gateway.events(since=since))
    for account in await _connected(cashier):
        pages = cashier.gateway.events(since=since, account=account, kinds=OF_CONNECTED)
        try:
            found += await _take(cashier, pages)
        except StripeRefused as refused:
            if refused.stripe_code != NO_ACCESS:
                raise
            await account_closed(cashier, account)
    return found


async def _connected(cashier: Cashier) -> Sequence[str]:
    async with cashier.database.transaction() as session:
        known = sa.select(ConnectedAccount.account).where(
            ConnectedAccount.account.is_not(None),
            ConnectedAccount.disabled_reason.is_distinct_from(DISCONNECTED),
        )
        return [name for name in await session.scalars(known) if name is not None]


async def _take(cashier: Cashier, pages: AsyncIterator[Sequence[StripeEvent]]) -> int:
    return sum([await _receive(cashier, page) async for page in pages])


async def _receive(cashier: Cashier, page: Sequence[StripeEvent]) -> int:
    async with cashier.database.transaction() as session:
        ids = [event.id for event in page]
        there = await session.scalars(sa.select(InboxEvent.id).where(InboxEvent.id.in_(ids)))
        known = set(there)
        livemode = cashier.gateway.livemode
        new = [event for event in page if event.id not in known]
        return sum([await inbox.receive(session, event, livemode=livemode) for event in new])
