"""`python -m tests.payouts.killable DATABASE STRIPE KEY`: sweeps, and is killed in the midst: when
Stripe has answered the second transfer and nothing of it is committed.
"""

import asyncio
import os
import signal
import sys
from typing import Any

from pydantic import SecretStr

from core.db import Database
from core.settings import Settings
from payouts import sweep
from payouts.cashier import Cashier
from payouts.gateway import Gateway
from payouts.stripe_objects import Transfer


class Deadly(Gateway):
    made = 0

    async def transfer(self, **asked: Any) -> Transfer:
        answer = await super().transfer(**asked)
        self.made += 1
        if self.made == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer


async def run(database_url: str, stripe_base: str, key: str) -> None:
    settings = Settings(database_url=SecretStr(database_url))
    cashier = Cashier(Database(database_url), Deadly(key, base=stripe_base), settings)
    async with cashier.database.transaction() as session:
        due = await sweep.due(session, settings)
    for each in due:
        intent = await sweep.intend(cashier, each)
        assert intent is not None
        await sweep.make_transfer(cashier, intent.id)


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))
