"""What every use case needs that moves money between Stripe and the ledger."""

from dataclasses import dataclass

from core.db import Database
from core.settings import Settings
from payouts.gateway import Gateway


@dataclass(frozen=True, slots=True)
class Cashier:
    """A use case calls Stripe between its transactions, never inside of one."""

    database: Database
    gateway: Gateway
    settings: Settings
