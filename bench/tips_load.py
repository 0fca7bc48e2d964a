"""Who tips in bench/tips.py: people with Stars, and processes in which they wait for answers."""

import asyncio
import multiprocessing
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid4

import uvloop

from core.auth.models import Platform, User
from core.batches import Batches
from core.db import Database
from payouts import purchases
from payouts.ledger import Booked
from payouts.postings import BalanceTransaction, Pin, Share, Terms
from payouts.spending import Tip, book_tips

PAYERS: Final = 64
PACKS: Final = 3
STARS: Final = 200_000
PROCESSES: Final = 2
CLIENTS: Final = 8
AT_ONCE: Final = 2
TERMS: Final = Terms()


@dataclass(frozen=True)
class Hall:
    platform_id: UUID
    people: Sequence[tuple[UUID, UUID, UUID]]
    """A payer, a creator, and that one's room."""


async def open_hall(url: str) -> Hall:
    database = Database(url)
    async with database.transaction() as session:
        platform = Platform(slug=f"bench-{uuid4().hex}", name="Bench")
        session.add(platform)
        await session.flush()
        people = []
        for number in range(PAYERS):
            two = [
                User(platform_id=platform.id, display_name=f"P{number}", email=f"{uuid4()}@x.org")
                for _ in range(2)
            ]
            session.add_all(two)
            await session.flush()
            people.append((two[0].id, two[1].id, uuid4()))
            for _ in range(PACKS):
                await purchases.book_purchase(
                    session,
                    platform_id=platform.id,
                    user_id=two[0].id,
                    key=f"purchase:{uuid4()}",
                    stars=STARS,
                    charge=charge(),
                )
    await database.close()
    return Hall(platform.id, people)


def charge() -> BalanceTransaction:
    return BalanceTransaction(
        id=f"txn_{uuid4().hex}",
        kind="charge",
        amount_minor=STARS * 139 // 100,
        fee_minor=50,
        currency=TERMS.currency,
        at=datetime.now(UTC),
    )


async def tips_per_second(url: str, hall: Hall, *, seconds: float, hot: bool = False) -> float:
    context = multiprocessing.get_context("spawn")
    told: multiprocessing.Queue[float] = context.Queue()
    share = len(hall.people) // PROCESSES
    processes = [
        context.Process(
            target=_tip, args=(url, hall, n * share, (n + 1) * share, seconds, hot, told)
        )
        for n in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    rates = [await asyncio.to_thread(told.get) for _ in processes]
    for process in processes:
        await asyncio.to_thread(process.join)
    return sum(rates)


def _tip(
    url: str,
    hall: Hall,
    first: int,
    last: int,
    seconds: float,
    hot: bool,
    told: "multiprocessing.Queue[float]",
) -> None:
    told.put(uvloop.run(_tips(url, hall, first, last, seconds, hot)))


async def _tips(url: str, hall: Hall, first: int, last: int, seconds: float, hot: bool) -> float:
    database = Database(url)
    batches = Batches(_work(database, hall.platform_id), at_once=AT_ONCE, most=64)
    done = 0
    began = time.monotonic()
    people = hall.people[first:last]

    async def client(number: int) -> None:
        nonlocal done
        while time.monotonic() - began < seconds:
            payer, creator, room = people[number % len(people)]
            number += CLIENTS
            if hot:
                _, creator, room = hall.people[0]
            tip = Tip(payer, f"tip:{uuid4()}", 5, [Share(creator)], Pin(room, 5))
            await batches.ask(tip)
            done += 1

    await asyncio.gather(*(client(n) for n in range(CLIENTS)))
    rate = done / (time.monotonic() - began)
    await database.close()
    return rate


def _work(
    database: Database, platform_id: UUID
) -> Callable[[Sequence[Tip]], Awaitable[Sequence[Booked | Exception]]]:
    async def work(tips: Sequence[Tip]) -> Sequence[Booked | Exception]:
        async with database.raw_transaction() as raw:
            return await book_tips(raw, platform_id=platform_id, tips=tips, terms=TERMS)

    return work
