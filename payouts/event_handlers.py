"""Which of Stripe's events we act on, and how. Handlers fetch the event's object themselves."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from payouts.cashier import Cashier
from payouts.crediting import settle_charge, settle_checkout, settle_intent
from payouts.dispute_events import settle_dispute
from payouts.gateway_models import InboxEvent
from payouts.inbox import Handler
from payouts.onboarding import account_closed, refresh_account
from payouts.payout_events import settle_payout
from payouts.refunds import settle_refund
from payouts.sweep import settle_transfer


def _with(settle: Callable[[Cashier, str], Awaitable[object]]) -> Handler:
    async def handle(cashier: Cashier, event: InboxEvent) -> None:
        await settle(cashier, event.subject)

    return handle


async def _payout(cashier: Cashier, event: InboxEvent) -> None:
    await settle_payout(cashier, event.subject, event.account)


async def _deauthorized(cashier: Cashier, event: InboxEvent) -> None:
    if event.account is not None:
        await account_closed(cashier, event.account)


_ACTED_ON: Final[Mapping[Handler, str]] = {
    _with(settle_checkout): """
        checkout.session.completed checkout.session.expired
        checkout.session.async_payment_succeeded checkout.session.async_payment_failed""",
    _with(settle_intent): "payment_intent.succeeded payment_intent.payment_failed",
    _with(settle_charge): "charge.succeeded charge.updated",
    _with(settle_refund): "refund.created refund.updated refund.failed charge.refund.updated",
    _with(settle_dispute): """
        charge.dispute.created charge.dispute.updated charge.dispute.closed
        charge.dispute.funds_withdrawn charge.dispute.funds_reinstated""",
    _with(refresh_account): "account.updated",
    _deauthorized: "account.application.deauthorized",
    _with(settle_transfer): "transfer.created transfer.updated transfer.reversed",
    _payout: "payout.created payout.updated payout.paid payout.failed payout.canceled",
}
HANDLERS: Final[Mapping[str, Handler]] = {
    kind: handler for handler, kinds in _ACTED_ON.items() for kind in kinds.split()
}
