"""A token bucket: calls wait for their turn instead of being refused. Every process has its own."""

import asyncio
import time
from collections.abc import Callable


class Throttle:
    """`per_second` calls a second, and as many at once after a pause. `clock` returns seconds."""

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
        """Takes a token, if need be one of the future; returns the seconds until it is there."""
        now = self._clock()
        gained = (now - self._counted_at) * self._per_second
        self._tokens = min(float(self._per_second), self._tokens + gained) - 1
        self._counted_at = now
        return max(0.0, -self._tokens / self._per_second)

    def slow_down(self) -> None:
        """Empties the bucket, after Stripe has answered 429."""
        self._tokens = min(self._tokens, 0.0)
