"""The cache of segments: one load for many, a budget that holds."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.blobs import BlobCache
from replay.recorded import Place


class Shelf:
    """Loads `size` bytes per place when the gate is open; counts."""

    def __init__(self) -> None:
        self.loads: list[Place] = []
        self.gate = asyncio.Event()
        self.broken = False

    async def load(self, place: Place) -> bytes:
        self.loads.append(place)
        await self.gate.wait()
        if self.broken:
            raise OSError
        return bytes(place.size)


def place(number: int, size: int = 10) -> Place:
    return Place(None, f"key-{number}", size)


async def test_many_who_ask_at_once_cost_one_load() -> None:
    shelf = Shelf()
    cache = BlobCache(shelf.load, budget=1000)
    asking = [asyncio.create_task(cache.get(place(1))) for _ in range(50)]
    await asyncio.sleep(0)
    asking[0].cancel()
    shelf.gate.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1:] == [bytes(10)] * 49
    assert len(shelf.loads) == 1
    assert await cache.get(place(1)) == bytes(10)
    assert len(shelf.loads) == 1


async def test_a_failed_load_is_told_to_all_and_tried_again() -> None:
    shelf = Shelf()
    cache = BlobCache(shelf.load, budget=1000)
    shelf.gate.set()
    shelf.broken = True
    failed = await asyncio.gather(*(cache.get(place(1)) for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in failed] == [OSError] * 3
    shelf.broken = False
    assert await cache.get(place(1)) == bytes(10)
    assert len(shelf.loads) == 2


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 60)), max_size=60))
def test_the_budget_holds_whatever_is_asked_for(asked: list[tuple[int, int]]) -> None:
    async def ask() -> None:
        shelf = Shelf()
        shelf.gate.set()
        cache = BlobCache(shelf.load, budget=100)
        for number, size in asked:
            assert await cache.get(place(number, size)) == bytes(size)
            assert cache.used <= 100
            if size <= 25:
                assert cache.ready(place(number, size)) is not None

    asyncio.run(ask())


async def test_what_was_used_last_stays() -> None:
    shelf = Shelf()
    shelf.gate.set()
    cache = BlobCache(shelf.load, budget=100)
    for number in range(10):
        await cache.get(place(number))
    await cache.get(place(0))
    await cache.get(place(10))
    assert cache.ready(place(0)) is not None
    assert cache.ready(place(1)) is None


def test_places_with_other_bytes_are_other_places() -> None:
    assert Place(None, "k", 5, start=0) != Place(None, "k", 5, start=5)
    with pytest.raises(AttributeError):
        place(1).size = 3  # type: ignore[misc]
