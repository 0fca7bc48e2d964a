"""What the whole sandbox shares (`World`), and one step in it for an account (`Call`)."""

import asyncio
import secrets
import string
import time
from dataclasses import dataclass, field
from typing import Any, Self

from payouts.sandbox.refusal import missing
from payouts.sandbox.store import Object, Store

API_VERSION = "2026-10-28.endive"
"""The only version it speaks: requests of other versions get answers of this one too."""

ALPHABET = string.ascii_letters + string.digits
DAY = 24 * 3600


def new_id(prefix: str, length: int = 24) -> str:
    return f"{prefix}_{''.join(secrets.choice(ALPHABET) for _ in range(length))}"


@dataclass(slots=True)
class World:
    """One platform with its connected accounts."""

    store: Store
    key: str
    """The only API key it takes."""
    base_url: str
    currency: str = "usd"
    country: str = "US"
    pulse: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a timer or a delivery may have become due."""

    def now(self) -> int:
        """Unix time on the test clock: the machine's time plus what the control API has added."""
        return int(time.time()) + int(self.store.state("clock_offset") or 0)

    def set_clock(self, moment: int) -> None:
        self.store.set_state("clock_offset", str(moment - int(time.time())))

    @property
    def platform(self) -> str:
        """The platform's own account id."""
        with self.store.transaction():
            known = self.store.state("platform")
            if known is None:
                known = new_id("acct", 16)
                self.store.set_state("platform", known)
        return known

    def call(self, account: str | None = None) -> "Call":
        """A step outside of API requests: of a timer, a page or the control API."""
        return Call(self, account or self.platform)


@dataclass(slots=True)
class Call:
    world: World
    account: str
    """Whose objects it sees and makes: the platform's or a connected one's."""
    request_id: str | None = None
    idempotency_key: str | None = None

    @property
    def store(self) -> Store:
        return self.world.store

    @property
    def now(self) -> int:
        return self.world.now()

    @property
    def on_platform(self) -> bool:
        return self.account == self.world.platform

    def on(self, account: str) -> Self:
        return type(self)(self.world, account, self.request_id, self.idempotency_key)

    def make(self, kind: str, prefix: str, /, **body: Any) -> Object:
        """Stores a new object, with the fields of all objects: id, object, created, livemode."""
        common = {"id": new_id(prefix), "object": kind, "created": self.now, "livemode": False}
        return self.store.insert(common | body, account=self.account)

    def save(self, body: Object, **changes: Any) -> Object:
        body.update(changes)
        return self.store.put(body)

    def get(self, kind: str, id: str, param: str = "id") -> Object:
        """Raises Refusal (404, resource_missing) for what this account does not have."""
        found = self.store.find(id, account=self.account)
        if found is None or found["object"] != kind:
            raise missing(kind, id, param)
        return found

    def later(self, seconds: int, job: str, subject: str) -> None:
        """Schedules the timer `job` on the test clock, for this account."""
        self.store.sql.execute(
            "insert into timers (due, account, job, subject) values (?, ?, ?, ?)",
            (self.now + seconds, self.account, job, subject),
        )
        self.world.pulse.set()
