"""What every use case needs that moves money between Stripe and the ledger."""

from dataclasses import dataclass

from core.db import Database
from core.settings import Settings
from payouts.gateway import Gateway, open_gateway


@dataclass(frozen=True, slots=True)
class Cashier:
    """A use case calls Stripe between its transactions, never inside of one."""

    database: Database
    gateway: Gateway
    settings: Settings


def open_cashier(settings: Settings, database: Database) -> Cashier | None:
    """None where the installation has no key of Stripe. Raises WrongMode."""
    gateway = open_gateway(settings)
    return None if gateway is None else Cashier(database, gateway, settings)
