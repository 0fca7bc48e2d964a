"""Whatever happens between us and Stripe, in whatever order, however often it is told, or never:
the books hold after each step, and in the end they are Stripe's.

All of it is the real thing: our API, the gateway, the inbox with signed events, jobs, and the
sandbox, which is a process's whole application, over loopback.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Final, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, note, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.payouts.random_acts import ACTS, Walk, begin_walk, one_of
from tests.payouts.shop import Shop

STEPS: Final = int(os.environ.get("ENCORE_TEST_STEPS", "2000"))
"""Of all runs together; as many more as anybody has time for."""

SEED: Final = int(os.environ.get("ENCORE_TEST_SEED", "0"))
"""Another one: other walks."""

RUNS: Final = 4
"""Beside each other, each with a sandbox, a database and a seed of its own."""

WALK: Final = 125
CAME_OF_IT: Final = {"buy declined", "tip refused", "refund refused", "transfer", "payout"}
"""What steps came to, beside what they are called by."""

Result = TypeVar("Result")


class AnyOrder(RuleBasedStateMachine):
    shop: ClassVar[Shop]
    loop: ClassVar[asyncio.AbstractEventLoop]
    done: ClassVar[Counter[str]]
    steps: ClassVar[int]

    def run(self, step: Coroutine[Any, Any, Result]) -> Result:
        """On the loop of the shop: rules are plain functions, what they call is not."""
        return asyncio.run_coroutine_threadsafe(step, self.loop).result()

    @initialize()
    def people(self) -> None:
        self.walk: Walk = self.run(begin_walk(self.shop))
        self.walk.done = self.done

    @rule(turn=st.integers(0, 255), number=st.integers(0, 10**6))
    def something_happens(self, turn: int, number: int) -> None:
        """Any of what can; the simplest walk has all of it, one after the other, in all ways."""
        can = [act for act in ACTS if act.can(self.walk)]
        act = one_of(can, type(self).steps + turn)
        note(act.name)
        came = self.run(act.do(self.walk, type(self).steps + number))
        self.done[came or act.name] += 1
        type(self).steps += 1

    @invariant()
    def the_books_hold(self) -> None:
        if hasattr(self, "walk"):
            self.run(self.walk.look())
            self.run(self.walk.hold())

    def teardown(self) -> None:
        if hasattr(self, "walk"):
            self.run(self.walk.rest())

    @classmethod
    def missing(cls) -> set[str]:
        return ({act.name for act in ACTS} | CAME_OF_IT) - cls.done.keys()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", range(RUNS))
async def test_in_any_order_through_stripe(
    shop: Shop, number: int, record_property: Callable[[str, object], None]
) -> None:
    """One of the runs whose steps are STEPS together; rare kinds of steps may take a few more."""
    AnyOrder.shop, AnyOrder.loop = shop, asyncio.get_running_loop()
    AnyOrder.done, AnyOrder.steps = Counter(), 0
    for more in range(4):
        if AnyOrder.steps < STEPS / RUNS or AnyOrder.missing():
            walks = 2 if more else -(-(STEPS // RUNS) // WALK)
            await asyncio.to_thread(_walk, SEED * RUNS + number + more * 10**6, walks)
    record_property("steps", AnyOrder.steps)
    record_property("done", dict(AnyOrder.done))
    assert AnyOrder.steps >= STEPS / RUNS
    assert AnyOrder.missing() == set()


def _walk(number: int, walks: int) -> None:
    run_state_machine_as_test(
        seed(number)(AnyOrder),
        settings=settings(
            max_examples=walks,
            stateful_step_count=WALK + 1,  # one of them is `people`
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
        _min_steps=WALK,  # else some end at once
    )
