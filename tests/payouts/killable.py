"""`python -m tests.payouts.killable DATABASE STRIPE INTENT`: makes a transfer, and is killed at the
moment at which Stripe has answered and nothing of it is committed.
"""

import asyncio
import os
import signal
import sys
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from core.db import Database
from core.settings import Settings
from payouts.cashier import Cashier
from payouts.gateway import Gateway
from payouts.stripe_objects import Transfer
from payouts.sweep import make_transfer


class Deadly(Gateway):
    async def transfer(self, **asked: Any) -> Transfer:
        await super().transfer(**asked)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


async def run(database_url: str, stripe_base: str, key: str, intent: str) -> None:
    settings = Settings(database_url=SecretStr(database_url))
    gateway = Deadly(key, base=stripe_base)
    await make_transfer(Cashier(Database(database_url), gateway, settings), UUID(intent))


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))
