"""FastAPI's way to the cashier of the process."""

from typing import Annotated

from fastapi import Depends, Request

from core.db import Database
from core.settings import Settings
from payouts.cashier import Cashier
from payouts.gateway import PaymentsOff, open_gateway


def open_cashier(settings: Settings, database: Database) -> Cashier | None:
    """None where the installation has no key of Stripe. Raises WrongMode."""
    gateway = open_gateway(settings)
    return None if gateway is None else Cashier(database, gateway, settings)


async def cashier(request: Request) -> Cashier:
    """Raises PaymentsOff."""
    found: Cashier | None = getattr(request.app.state, "cashier", None)
    if found is None:
        raise PaymentsOff
    return found


CashierDep = Annotated[Cashier, Depends(cashier)]
