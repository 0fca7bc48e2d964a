"""Buying Stars: the packs, and an order from its page at Stripe to its receipt."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.dependencies import VisitorDep
from core.auth.oidc_api import local_path
from core.auth.principal import Principal
from core.http import ServicesDep, SessionDep
from core.money_settings import StarPack
from payouts.cashier import Cashier
from payouts.orders import order_of, orders_of
from payouts.receipts import receipt_of
from web.pages.render import page
from web.pages.route import PageRoute

router = APIRouter(route_class=PageRoute)

DECLINES: Final = {
    "insufficient_funds": "there was not enough money on it",
    "expired_card": "it has expired",
    "incorrect_cvc": "the security code was wrong",
    "processing_error": "something went wrong at the bank",
    "payment_intent_authentication_failure": "the bank could not make sure that it was you",
}


@router.get("/stars")
async def buy(
    request: Request,
    services: ServicesDep,
    session: SessionDep,
    me: VisitorDep,
    next: str = "/wallet",
    currency: str | None = None,
) -> Response:
    settings = services.settings
    chosen = await _currency(session, me, settings.star_packs, currency)
    cashier: Cashier | None = getattr(request.app.state, "cashier", None)
    return page(
        request,
        "stars/buy.html",
        me=me,
        packs=[pack for pack in settings.star_packs if pack.currency == chosen],
        currencies=list(dict.fromkeys(pack.currency for pack in settings.star_packs)),
        chosen=chosen,
        star_value_minor=settings.star_value_minor,
        settlement_currency=settings.settlement_currency,
        sold=cashier is not None,
        test_money=cashier is not None and not cashier.gateway.livemode,
        next=local_path(next),
    )


async def _currency(
    session: AsyncSession, me: Principal, packs: Sequence[StarPack], asked: str | None
) -> str:
    """The one that was asked for, or was paid with last, or the first."""
    known = [pack.currency for pack in packs]
    if asked in known:
        return str(asked)
    last = await orders_of(session, me, before=None, limit=1) if me.user_id else []
    return last[0].currency if last and last[0].currency in known else next(iter(known), "")


@router.get("/orders/{order_id}")
async def order(
    request: Request, session: SessionDep, me: VisitorDep, order_id: UUID, left: bool = False
) -> Response:
    """Where Stripe's page leads back to; `left`: by its link for those who don't pay."""
    found = await order_of(session, me, order_id)
    declined = found.failure_code and DECLINES.get(found.failure_code, "")
    return page(request, "stars/order.html", me=me, order=found, left=left, declined=declined)


@router.get("/orders/{order_id}/receipt")
async def receipt(
    request: Request,
    services: ServicesDep,
    session: SessionDep,
    me: VisitorDep,
    order_id: UUID,
) -> Response:
    found = await receipt_of(session, me, order_id)
    seller = services.settings.seller_lines
    return page(
        request, "stars/receipt.html", me=me, receipt=found, order=found.order, seller=seller
    )
