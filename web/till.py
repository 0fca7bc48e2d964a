"""The cashier of an installation, for commands."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from core.settings import Settings
from payouts.books import open_books
from payouts.cashier import Cashier, follow_sandbox, open_cashier
from payouts.gateway import PaymentsOff
from web.database import connected, with_database
from web.sandbox import wants_sandbox, with_sandbox

Result = TypeVar("Result")


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Cashier]:
    """With the sandbox of this machine where no key is set.

    Raises PaymentsOff, WrongMode, WrongCurrency, DatabaseUrlMissing, DatabaseUnreachable.
    """
    if wants_sandbox(settings):
        settings = with_sandbox(settings)
    async with (
        with_database(settings, embed=True) as settings,
        connected(settings) as database,
    ):
        async with database.transaction() as session:
            await open_books(session, settings)
        if (cashier := open_cashier(settings, database)) is None:
            raise PaymentsOff
        try:
            await follow_sandbox(cashier)
            yield cashier
        finally:
            await cashier.gateway.close()


def at_the_till(work: Callable[[Cashier], Awaitable[Result]]) -> Result:
    async def run() -> Result:
        async with opened(Settings()) as cashier:
            return await work(cashier)

    return asyncio.run(run())
