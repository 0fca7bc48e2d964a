"""Timers on the test clock: what happens by itself in time, such as payouts and expiry."""

from collections.abc import Callable
from typing import TypeVar

from payouts.sandbox.webhooks import hurry
from payouts.sandbox.world import Call, World

Job = TypeVar("Job", bound=Callable[[Call, str], None])

JOBS: dict[str, Callable[[Call, str], None]] = {}


def timer(name: str) -> Callable[[Job], Job]:
    """For functions of a call and the id that `Call.later` was given."""

    def register(job: Job) -> Job:
        JOBS[name] = job
        return job

    return register


def next_timer(world: World) -> int | None:
    """On the test clock."""
    row = world.store.sql.execute("select min(due) as due from timers").fetchone()
    return None if row["due"] is None else int(row["due"])


def run_due(world: World) -> None:
    """Runs everything that is due, each in a transaction of its own."""
    while (due := next_timer(world)) is not None and due <= world.now():
        _run_first(world)


def advance(world: World, moment: int) -> None:
    """Moves the test clock to the moment; every timer on the way runs at its own time."""
    while (due := next_timer(world)) is not None and due <= moment:
        with world.store.transaction():
            if due > world.now():
                world.set_clock(due)
            _run_first(world)
    with world.store.transaction():
        world.set_clock(moment)
        hurry(world)


def _run_first(world: World) -> None:
    with world.store.transaction():
        row = world.store.sql.execute("select * from timers order by due, place").fetchone()
        world.store.sql.execute("delete from timers where place = ?", (row["place"],))
        JOBS[row["job"]](world.call(row["account"]), row["subject"])
