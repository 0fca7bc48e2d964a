"""Books payouts from connected accounts to creators' banks, as Stripe reports them."""

from typing import Final

import sqlalchemy as sa

from payouts.alerts import set_aside
from payouts.cashier import Cashier
from payouts.clock import money_now
from payouts.gateway_models import ConnectedAccount
from payouts.transfers import payout_failed, payout_paid

FAILED: Final = ("failed", "canceled")


async def settle_payout(cashier: Cashier, payout_id: str, account: str | None) -> None:
    """Books a payout of the connected `account` that was paid or has failed."""
    if account is None:
        return  # our own payout: reconciliation books its balance transactions
    found = await cashier.gateway.payout(payout_id, account=account)
    async with cashier.database.transaction() as session:
        owner = await session.scalar(
            sa.select(ConnectedAccount).where(ConnectedAccount.account == account)
        )
        if owner is None:
            await set_aside(session, "foreign_payout", payout_id)
            return
        book = payout_failed if found.status in FAILED else payout_paid
        if found.status == "paid" or found.status in FAILED:
            await book(
                session,
                platform_id=owner.platform_id,
                creator_id=owner.user_id,
                payout=found.id,
                account=account,
                amount_minor=found.amount_minor,
                currency=found.currency,
                at=await money_now(session),
            )
