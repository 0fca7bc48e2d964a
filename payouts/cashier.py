"""What every use case needs that works with both Stripe and the ledger."""

import logging
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import httpx
import sqlalchemy as sa

from core.db import Database
from core.settings import Settings
from payouts.gateway import Gateway
from payouts.gateway_models import StripeBooks

log = logging.getLogger(__name__)

CLOCK_TIMEOUT_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Cashier:
    """A use case calls Stripe between its transactions, never inside of one."""

    database: Database
    gateway: Gateway
    settings: Settings


def open_cashier(settings: Settings, database: Database) -> Cashier | None:
    """None without a Stripe key: then nothing is sold or paid out. Raises WrongMode."""
    if settings.stripe_key is None:
        return None
    gateway = Gateway(
        settings.stripe_key.get_secret_value(),
        base=settings.stripe_base,
        per_second=settings.stripe_requests_per_second,
    )
    return Cashier(database, gateway, settings)


async def follow_sandbox(cashier: Cashier) -> None:
    """With the sandbox, sets our clock of money (payouts/clock.py) as far ahead as the sandbox's.

    Does nothing with Stripe itself. If the sandbox does not answer, that is logged only.
    """
    base, key = cashier.settings.stripe_base, cashier.settings.stripe_key
    if cashier.gateway.livemode or base is None or key is None:
        return
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"}
    verify = not base.startswith("http:")  # else loading certificates takes longer than the request
    wait = CLOCK_TIMEOUT_SECONDS
    async with httpx.AsyncClient(timeout=wait, trust_env=False, verify=verify) as http:
        try:
            answer = await http.get(f"{base}/_control/state", headers=headers)
            there = int(answer.raise_for_status().json()["now"])
        except (httpx.HTTPError, ValueError, KeyError) as error:
            log.warning("the sandbox's clock was not read: %s", type(error).__name__)
            return
    ahead = timedelta(seconds=max(0, there - int(time.time())))
    async with cashier.database.transaction() as session:
        await session.execute(sa.update(StripeBooks).values(clock_ahead=ahead))
