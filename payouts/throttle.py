"""A token bucket of one process: calls wait for their turn rather than be refused."""

import asyncio
import time
from collections.abc import Callable


class Throttle:
    """`per_second` calls, and as many at once after a rest. `clock` gives seconds."""

    def __init__(self, per_second: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._clock = clock
        self._tokens = float(per_second)
        self._counted_at = clock()

    async def turn(self) -> None:
        wait = self.take()
        if wait > 0:
            await asyncio.sleep(wait)

    def take(self) -> float:
        """Takes a token, of the future where there is none; the seconds until it is there."""
        now = self._clock()
        gained = (now - self._counted_at) * self._per_second
        self._tokens = min(float(self._per_second), self._tokens + gained) - 1
        self._counted_at = now
        return max(0.0, -self._tokens / self._per_second)

    def slow_down(self) -> None:
        """Stripe found it too much: nothing is left for now."""
        self._tokens = min(self._tokens, 0.0)
