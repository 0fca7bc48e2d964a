"""The FastAPI dependency that hands a route the cashier of its process."""

from typing import Annotated

from fastapi import Depends, Request

from payouts.cashier import Cashier
from payouts.gateway import PaymentsOff


async def cashier(request: Request) -> Cashier:
    """Raises PaymentsOff."""
    found: Cashier | None = getattr(request.app.state, "cashier", None)
    if found is None:
        raise PaymentsOff
    return found


CashierDep = Annotated[Cashier, Depends(cashier)]
