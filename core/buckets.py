"""Token buckets in PostgreSQL, shared by all machines.

A bucket holds up to `burst` tokens and gains `burst` per `per`; each attempt takes one. Keys are
keyed hashes (HMAC-SHA256), so the table holds no address and no email. A bucket that this
process knows to be empty is refused without asking the database, so a flood stays cheap.
"""

import hashlib
import hmac
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.errors import TooManyRequests
from core.keys import derive_key

REMEMBERED_KEYS = 10_000
IDLE = timedelta(days=1)

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Limit:
    """`burst` attempts at once, refilled evenly over `per` (at most one day).

    With a `lease` above 1 a process takes that many tokens at once and spends them from memory:
    for limits of many attempts a second, where being exact to the token does not matter.
    A `local` one is counted by each process alone and costs no query: for what wears out the
    process and is asked for by thousands at once.
    """

    name: str
    burst: int
    per: timedelta
    lease: int = 1
    local: bool = False

    @property
    def tokens_per_second(self) -> float:
        return self.burst / self.per.total_seconds()


class RateLimited(TooManyRequests):
    def __init__(self, wait_seconds: float) -> None:
        seconds = max(1, math.ceil(wait_seconds))
        super().__init__(
            f"too many attempts; try again in {seconds} s",
            headers={"Retry-After": str(seconds)},
            retry_after_s=seconds,
        )


# The upsert locks the row, so parallel attempts take one after the other. A bucket with too
# few tokens fails the WHERE: nothing is written and no row comes back.
_TAKE = sa.text(
    """
    insert into rate_bucket as bucket (key, tokens, refilled_at)
    values (:key, cast(:burst as float8) - :cost, clock_timestamp())
    on conflict (key) do update set
        tokens = least(:burst, bucket.tokens + :rate * greatest(0,
            extract(epoch from clock_timestamp() - bucket.refilled_at)::float8)) - :cost,
        refilled_at = clock_timestamp()
    where least(:burst, bucket.tokens + :rate * greatest(0,
        extract(epoch from clock_timestamp() - bucket.refilled_at)::float8)) >= :cost
    returning tokens
    """
).bindparams(
    sa.bindparam("burst", type_=sa.Double()),
    sa.bindparam("rate", type_=sa.Double()),
    sa.bindparam("cost", type_=sa.Double()),
)
_LEFT = sa.text(
    """
    select tokens + :rate * extract(epoch from clock_timestamp() - refilled_at)::float8
    from rate_bucket where key = :key
    """
).bindparams(sa.bindparam("rate", type_=sa.Double()))


class LocalBuckets:
    """Buckets of one process alone, in memory; `clock` gives seconds.

    Of too many subjects the one is forgotten that was idle longest, whose bucket is full most
    likely.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counted: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()
        """Tokens by limit and subject, and when they were counted."""

    def __len__(self) -> int:
        return len(self._counted)

    def take(self, limit: Limit, subject: str) -> None:
        """One token. Raises RateLimited with the time after which there is another."""
        now, key = self._clock(), (limit.name, subject)
        tokens, at = self._counted.pop(key, (float(limit.burst), now))
        tokens = min(limit.burst, tokens + (now - at) * limit.tokens_per_second)
        _put(self._counted, key, (tokens - 1 if tokens >= 1 else tokens, now))
        if tokens < 1:
            raise RateLimited((1 - tokens) / limit.tokens_per_second)


class Buckets:
    """What one process remembers: buckets that are empty, and tokens it holds in advance."""

    def __init__(self) -> None:
        self._empty_until: OrderedDict[str, float] = OrderedDict()
        self._held: OrderedDict[str, int] = OrderedDict()
        self._local = LocalBuckets()

    async def take(self, database: Database, limit: Limit, key: str) -> None:
        """Takes one token in a transaction of its own, which a failing request doesn't undo.

        Raises RateLimited. Call it before the request's session is used: one that holds a
        connection must not wait for a second.
        """
        if limit.local:
            self._local.take(limit, key)
            return
        if self._spend_held(key):
            return
        wait = self._empty_until.get(key, 0.0) - time.monotonic()
        if wait <= 0:
            async with database.transaction() as session:
                wait = await _try_take(session, limit, key)
            self._note(limit, key, wait)
        if wait > 0:
            raise RateLimited(wait)

    def _spend_held(self, key: str) -> bool:
        held = self._held.pop(key, 0)
        if held > 1:
            self._held[key] = held - 1
        return held > 0

    def _note(self, limit: Limit, key: str, wait: float) -> None:
        if wait > 0:
            _put(self._empty_until, key, time.monotonic() + wait)
            return
        self._empty_until.pop(key, None)
        if limit.lease > 1:
            _put(self._held, key, limit.lease - 1)


def bucket_key(secret: bytes, limit: Limit, subject: str) -> str:
    """The limit's name is hashed too: one person's buckets cannot be told to belong together."""
    key = derive_key(secret, "rate-limit")
    counted = f"{limit.name}\0{subject}".encode(errors="replace")
    return f"{limit.name}:{hmac.new(key, counted, hashlib.sha256).hexdigest()[:32]}"


async def forget_idle_buckets(session: AsyncSession) -> int:
    """Deletes buckets that are full again (untouched for a day); returns how many."""
    idle = sa.text("delete from rate_bucket where refilled_at < now() - :idle returning key")
    bound = idle.bindparams(sa.bindparam("idle", IDLE, type_=sa.Interval()))
    return len((await session.scalars(bound)).all())


async def _try_take(session: AsyncSession, limit: Limit, key: str) -> float:
    """0 when taken, else the seconds until it can be."""
    rate = limit.tokens_per_second
    values = {"key": key, "burst": limit.burst, "rate": rate, "cost": limit.lease}
    if await session.scalar(_TAKE, values) is not None:
        return 0.0
    left = await session.scalar(_LEFT, {"key": key, "rate": rate})
    return max(0.001, (limit.lease - float(left or 0)) / rate)


def _put(memory: OrderedDict[Key, Value], key: Key, value: Value) -> None:
    memory[key] = value
    if len(memory) > REMEMBERED_KEYS:
        memory.popitem(last=False)
