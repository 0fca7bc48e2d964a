"""Jobs of money: what Stripe told us, orders that nobody told us of, transfers, reconciliation."""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from payouts import inbox, leaving, order_checks, reconcile, refund_requests, refunds, sweep
from payouts.cashier import Cashier, follow_sandbox
from payouts.event_handlers import HANDLERS
from payouts.gateway import PaymentsOff
from payouts.orders import CHECK_JOB, EXPIRE_JOB
from workers.kinds import Chore, JobKind, Tools


def _cashier(tools: Tools) -> Cashier:
    """Jobs of a time when there was a key wait for the next one. Raises PaymentsOff."""
    if tools.cashier is None:
        raise PaymentsOff
    return tools.cashier


async def work_on_event(tools: Tools, payload: dict[str, Any]) -> None:
    await inbox.work_on(_cashier(tools), payload["event_id"], HANDLERS)


async def check_order(tools: Tools, payload: dict[str, Any]) -> None:
    asked = timedelta(seconds=payload["delay_s"])
    await order_checks.check_order(_cashier(tools), UUID(payload["order_id"]), asked)


async def expire_checkout(tools: Tools, payload: dict[str, Any]) -> None:
    await order_checks.expire_checkout(_cashier(tools), UUID(payload["order_id"]))


async def send_refund(tools: Tools, payload: dict[str, Any]) -> None:
    await refunds.send_refund(_cashier(tools), UUID(payload["refund_id"]))


async def make_transfer(tools: Tools, payload: dict[str, Any]) -> None:
    await sweep.make_transfer(_cashier(tools), UUID(payload["intent_id"]))


async def sweep_earnings(tools: Tools) -> None:
    if tools.cashier is not None:
        await follow_sandbox(tools.cashier)
        await sweep.sweep(tools.cashier)
        await leaving.close_left(tools.cashier)


async def reconcile_stripe(tools: Tools) -> None:
    if tools.cashier is not None:
        await follow_sandbox(tools.cashier)
        await reconcile.reconcile(tools.cashier)


async def hold_invariants(tools: Tools) -> None:
    async with tools.database.transaction() as session:
        await reconcile.hold_invariants(session)


MONEY_JOBS: Final = (
    JobKind(inbox.EVENT_JOB, work_on_event, at_once=8),
    JobKind(CHECK_JOB, check_order, at_once=4),
    JobKind(EXPIRE_JOB, expire_checkout, at_once=4),
    JobKind(refund_requests.REFUND_JOB, send_refund, at_once=4),
    JobKind(sweep.TRANSFER_JOB, make_transfer, at_once=4),
)
MONEY_CHORES: Final = (
    Chore("reconcile_stripe", "7 * * * *", reconcile_stripe),
    Chore("sweep_earnings", "20 4 * * *", sweep_earnings),
    Chore("hold_invariants", "40 3 * * *", hold_invariants),
)
