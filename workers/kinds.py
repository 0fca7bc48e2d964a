"""What a job is: a name, a body of a few lines, how many may run at once."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from core.db import Database
from core.mail import Mailer
from core.settings import Settings
from core.storage import ObjectStore
from core.webhooks.sender import Sender
from payouts.cashier import Cashier
from transcripts.engines import Engine


@dataclass(frozen=True, slots=True)
class Tools:
    """What job bodies work with; made once per process."""

    settings: Settings
    database: Database
    secret: bytes
    store: ObjectStore
    mailer: Mailer
    sender: Sender
    engine: Engine
    cashier: Cashier | None = None
    """None where the installation has no key of Stripe."""


Body = Callable[[Tools, dict[str, Any]], Awaitable[None]]
"""Gets the payload that `core.queue.enqueue` was given. May run twice: effects are guarded.

It must not block the event loop: a missed heartbeat gives the job to another worker.
"""


class Queue(StrEnum):
    """Each is worked on by a process of its own: `encore work --queues` chooses."""

    DEFAULT = "default"
    TRANSCRIBE = "transcribe"
    """Takes a core, or a GPU, and memory for minutes: so many at once a machine."""


@dataclass(frozen=True, slots=True)
class JobKind:
    """`at_once` counts over all workers; None: only what the machine itself can take counts."""

    entrypoint: str
    body: Body
    at_once: int | None
    queue: Queue = Queue.DEFAULT


@dataclass(frozen=True, slots=True)
class Chore:
    """Runs by the clock (cron expression, UTC), on one worker of all."""

    name: str
    cron: str
    body: Callable[[Tools], Awaitable[None]]
