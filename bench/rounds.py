"""Runs of several cases in turn, so that a busy minute of the machine hurts all of them alike."""

import math
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from statistics import median
from typing import Final, TypeVar

T = TypeVar("T")
ROUNDS: Final = 3


async def interleaved(
    cases: Mapping[str, Callable[[], Awaitable[T]]],
    rounds: int = ROUNDS,
    *,
    begin_within: float = math.inf,
    end_within: float = math.inf,
    rare: Collection[str] = (),
) -> dict[str, list[T]]:
    """Every case once a round, in the order given; each case's results in the order of rounds.

    No round but the first begins when `begin_within` seconds are over. Cases that are `rare`
    run in the first round, and in later ones if all the others can still end `end_within`.
    """
    results: dict[str, list[T]] = {name: [] for name in cases}
    took: dict[str, float] = {}
    began = time.monotonic()
    for number in range(rounds):
        if number and time.monotonic() - began > begin_within:
            break
        left = rounds - number
        for name, run in cases.items():
            since = time.monotonic()
            others = left * sum(took[one] for one in took if one not in rare)
            if number and name in rare and since - began + took[name] + others > end_within:
                continue
            results[name].append(await run())
            took[name] = time.monotonic() - since
    return results


def middle(runs: Iterable[T], value: Callable[[T], float]) -> float:
    """The median of what `value` reads from each run."""
    return median(map(value, runs))
