"""HTTP: receipts of orders, and the history of a wallet."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from core.auth.dependencies import CallerDep
from core.auth.documented import problems
from core.auth.rights import AccountNeeded
from core.errors import TooManyRequests, Unauthenticated
from core.http import ServicesDep, SessionDep
from core.ratelimit import rate_limit
from payouts.api import READ
from payouts.orders import OrderUnknown
from payouts.receipts import receipt_of
from payouts.wallet_history import movements_of
from payouts.wallet_schemas import MovementOut, MovementPage, ReceiptOut

router = APIRouter(
    prefix="/v1",
    tags=["stars"],
    dependencies=[Depends(rate_limit(READ, per_credential=True))],
)

REFUSED = (Unauthenticated, AccountNeeded, TooManyRequests)


@router.get(
    "/orders/{order_id}/receipt",
    summary="See what became of an order",
    responses=problems(*REFUSED, OrderUnknown),
)
async def receipt(
    order_id: UUID, services: ServicesDep, session: SessionDep, principal: CallerDep
) -> ReceiptOut:
    """Only your own: its unused Stars, what they would be refunded for, and its refunds."""
    found = await receipt_of(session, principal, order_id)
    return ReceiptOut.of(found, services.settings.seller_lines)


@router.get("/wallet/history", summary="What your Stars did", responses=problems(*REFUSED))
async def history(
    session: SessionDep,
    principal: CallerDep,
    before: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> MovementPage:
    """Newest first. The `stars` of all movements sum to what is in the wallet."""
    found = await movements_of(session, principal, before=before, limit=limit + 1)
    items = [MovementOut.model_validate(each) for each in found[:limit]]
    return MovementPage(items=items, next=items[-1].id if len(found) > limit else None)
