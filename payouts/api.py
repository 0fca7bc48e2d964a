"""HTTP: orders, wallet and refunds, a creator's onboarding, and Stripe's webhooks."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request

from core.auth.browser import CrossSite
from core.auth.dependencies import CallerDep
from core.auth.documented import problems
from core.auth.principal import Principal
from core.auth.rights import AccountNeeded, require_user
from core.buckets import Limit
from core.db import release
from core.errors import TooManyRequests, Unauthenticated
from core.http import ServicesDep, SessionDep
from core.ratelimit import rate_limit, take
from payouts import inbox, onboarding, orders, refunds
from payouts.dependencies import CashierDep
from payouts.gateway import OutcomeUnknown, PaymentsOff, StripeBusy, StripeClosed, StripeRefused
from payouts.lot_returns import NothingUnused
from payouts.onboarding import NotOnboarded
from payouts.orders import OrderDiffers, OrderUnknown, Wish
from payouts.packs import PackUnknown
from payouts.refunds import OrderNotPaid
from payouts.schemas import (
    LinkOut,
    NewOrder,
    OnboardingOut,
    OrderOut,
    OrderPage,
    PackList,
    RefundOut,
    WalletOut,
)
from payouts.spending import WalletFrozen
from payouts.wallets import holdings_of
from payouts.webhooks import EventMalformed, SignatureInvalid, verified_event

router = APIRouter(prefix="/v1")

ORDER = Limit("star-order", 60, timedelta(hours=1))
READ = Limit("money-read", 300, timedelta(minutes=1), local=True)
"""Of histories, earnings and statements, which may read all of a person's past."""

REFUND = Limit("star-refund", 10, timedelta(days=1))
"""Of a person, across all their sessions: Stripe keeps its fee of each payment that is refunded."""

REFUSED = (Unauthenticated, AccountNeeded, CrossSite, TooManyRequests)
STRIPE_AWAY = (PaymentsOff, StripeBusy, StripeClosed, OutcomeUnknown, StripeRefused)


async def signed_in(principal: CallerDep) -> Principal:
    """Raises Unauthenticated, AccountNeeded."""
    require_user(principal)
    return principal


PersonDep = Annotated[Principal, Depends(signed_in)]


async def signed_in_without_connection(principal: PersonDep, session: SessionDep) -> Principal:
    """As `signed_in`, for routes that then wait for Stripe or for another transaction.

    The database connection that authenticated the caller is released first.
    """
    await release(session)
    return principal


WaitingDep = Annotated[Principal, Depends(signed_in_without_connection)]


async def _refund_rate(principal: WaitingDep, services: ServicesDep) -> None:
    await take(services, REFUND, str(require_user(principal)))


@router.get("/stars/packs", tags=["stars"], summary="What Stars cost")
async def packs(services: ServicesDep) -> PackList:
    """Prices include tax. The same in every room, live or replayed."""
    settings = services.settings
    return PackList.of(settings.star_packs, settings.star_value_minor, settings.settlement_currency)


@router.post(
    "/orders",
    status_code=201,
    tags=["stars"],
    summary="Order Stars",
    dependencies=[Depends(rate_limit(ORDER, per_credential=True))],
    responses=problems(*REFUSED, *STRIPE_AWAY, PackUnknown, OrderDiffers),
)
async def order(wanted: NewOrder, principal: WaitingDep, cashier: CashierDep) -> OrderOut:
    """Send the buyer to `checkout_url` to pay. Sent again with the same `client_key` it is the same
    order; after a 503 do just that. Poll the order to learn whether it is paid: a buyer may come
    back from the page without having paid."""
    wish = Wish(wanted.client_key, wanted.pack)
    return OrderOut.of(await orders.place_order(cashier, principal=principal, wish=wish))


@router.get(
    "/orders",
    tags=["stars"],
    summary="Your orders",
    dependencies=[Depends(rate_limit(READ, per_credential=True))],
    responses=problems(*REFUSED),
)
async def list_orders(
    session: SessionDep,
    principal: CallerDep,
    before: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> OrderPage:
    """Newest first."""
    found = await orders.orders_of(session, principal, before=before, limit=limit + 1)
    items = [OrderOut.of(each) for each in found[:limit]]
    return OrderPage(items=items, next=items[-1].id if len(found) > limit else None)


@router.get(
    "/orders/{order_id}",
    tags=["stars"],
    summary="See an order",
    responses=problems(*REFUSED, OrderUnknown),
)
async def see_order(order_id: UUID, session: SessionDep, principal: CallerDep) -> OrderOut:
    """Only your own; with the link to Stripe's receipt once it is paid."""
    return OrderOut.of(await orders.order_of(session, principal, order_id))


@router.post(
    "/orders/{order_id}/refunds",
    status_code=202,
    tags=["stars"],
    summary="Give unused Stars back",
    dependencies=[Depends(_refund_rate)],
    responses=problems(
        *REFUSED, OrderUnknown, OrderNotPaid, NothingUnused, WalletFrozen, PaymentsOff
    ),
)
async def give_back(
    order_id: UUID, session: SessionDep, principal: PersonDep, _: CashierDep
) -> RefundOut:
    """Refunds all unused Stars of this order at the price paid, to the card it was paid with. While
    a refund is under way, it is returned again. Ten times a day at most."""
    refund = await refunds.request_refund(session, principal=principal, order_id=order_id)
    return RefundOut.model_validate(refund)


@router.get("/wallet", tags=["stars"], summary="Your Stars", responses=problems(*REFUSED))
async def wallet(session: SessionDep, principal: CallerDep) -> WalletOut:
    user_id = require_user(principal)
    assert principal.platform_id is not None  # noqa: S101 - every user is of a platform
    found = await holdings_of(session, platform_id=principal.platform_id, user_id=user_id)
    return WalletOut(stars=found.stars, held=found.held, frozen=found.frozen)


@router.get(
    "/creators/me/onboarding",
    tags=["creators"],
    summary="What is missing to be paid",
    responses=problems(*REFUSED),
)
async def see_onboarding(session: SessionDep, principal: CallerDep) -> OnboardingOut:
    """You earn from the first tip on, even before onboarding."""
    account = await onboarding.account_of(session, principal)
    return OnboardingOut.model_validate(onboarding.shown(account))


@router.post(
    "/creators/me/onboarding",
    status_code=201,
    tags=["creators"],
    summary="Begin or continue onboarding",
    dependencies=[Depends(rate_limit(ORDER, per_credential=True))],
    responses=problems(*REFUSED, *STRIPE_AWAY),
)
async def begin_onboarding(principal: WaitingDep, cashier: CashierDep) -> LinkOut:
    """Stripe asks who you are and where to pay out, then sends you back."""
    return LinkOut(url=await onboarding.begin(cashier, principal=principal))


@router.post(
    "/creators/me/dashboard",
    status_code=201,
    tags=["creators"],
    summary="Open your page at Stripe",
    dependencies=[Depends(rate_limit(ORDER, per_credential=True))],
    responses=problems(*REFUSED, *STRIPE_AWAY, NotOnboarded),
)
async def open_dashboard(principal: WaitingDep, cashier: CashierDep) -> LinkOut:
    """Stripe's own page, with your payouts and your bank account."""
    return LinkOut(url=await onboarding.dashboard(cashier, principal=principal))


@router.post(
    "/stripe/webhooks",
    status_code=204,
    tags=["operation"],
    summary="Take an event of Stripe's",
    responses=problems(SignatureInvalid, EventMalformed, PaymentsOff),
)
async def take_event(
    request: Request,
    cashier: CashierDep,
    stripe_signature: Annotated[str | None, Header()] = None,
) -> None:
    """The endpoint to register at Stripe, both for your own account and for connected accounts. A
    signed event is stored once and worked on later: 204 only means that it has been stored."""
    secrets = cashier.settings.webhook_secrets
    event = verified_event(await request.body(), stripe_signature, secrets)
    async with cashier.database.transaction() as session:
        await inbox.receive(session, event, livemode=cashier.gateway.livemode)
