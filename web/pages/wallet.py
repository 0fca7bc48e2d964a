"""One's own Stars: how many, where they came from and where they went."""

from typing import Final
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from core.auth.dependencies import VisitorDep
from core.auth.rights import require_user
from core.http import ServicesDep, SessionDep
from payouts.clock import money_now
from payouts.earned import titles_of
from payouts.limits import caps_of, spending_of
from payouts.models import EventKind
from payouts.orders import orders_of
from payouts.receipts import receipts_of
from payouts.wallet_history import movements_of
from payouts.wallets import holdings_of
from web.pages.render import page
from web.pages.route import PageRoute

router = APIRouter(route_class=PageRoute)

ORDERS: Final = 10
MOVEMENTS: Final = 30

SAYS: Final = {
    EventKind.PURCHASE: "Bought",
    EventKind.PROMOTION: "A present",
    EventKind.TIP: "Tipped",
    EventKind.REFUND_REQUESTED: "Given back",
    EventKind.REFUND_FAILED: "The refund failed: they are back",
    EventKind.DISPUTE_LOST: "Revoked: the bank took the payment back",
}


@router.get("/wallet")
async def wallet(
    request: Request,
    services: ServicesDep,
    session: SessionDep,
    me: VisitorDep,
    orders_before: UUID | None = None,
    before: UUID | None = None,
) -> Response:
    user_id = require_user(me)
    assert me.platform_id is not None  # noqa: S101 - every user is of a platform
    orders = await orders_of(session, me, before=orders_before, limit=ORDERS + 1)
    moved = await movements_of(session, me, before=before, limit=MOVEMENTS + 1)
    spending = await spending_of(session, user_id, now=await money_now(session))
    return page(
        request,
        "stars/wallet.html",
        me=me,
        holdings=await holdings_of(session, platform_id=me.platform_id, user_id=user_id),
        spending=spending,
        allowed=spending.within(caps_of(services.settings)),
        receipts=await receipts_of(session, orders[:ORDERS]),
        older_orders=orders[ORDERS - 1].id if len(orders) > ORDERS else None,
        movements=moved[:MOVEMENTS],
        older=moved[MOVEMENTS - 1].id if len(moved) > MOVEMENTS else None,
        titles=await titles_of(session, {each.room_id for each in moved}),
        says=SAYS,
    )
