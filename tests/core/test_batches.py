"""Who waits goes together; nobody waits for company, and one's failure is no other's."""

import asyncio
from collections.abc import Sequence

import pytest

from core.batches import Batches


class Kitchen:
    """Doubles numbers once the door opens; refuses 13, and drops everything over 100."""

    def __init__(self) -> None:
        self.door = asyncio.Event()
        self.batches: list[list[int]] = []

    async def saw(self, count: int) -> None:
        while len(self.batches) < count:  # noqa: ASYNC110 - a few turns of the loop
            await asyncio.sleep(0)

    async def work(self, asks: Sequence[int]) -> Sequence[int | Exception]:
        self.batches.append(list(asks))
        await self.door.wait()
        if max(asks) > 100:
            raise OverflowError
        return [ValueError("unlucky") if ask == 13 else ask * 2 for ask in asks]


@pytest.fixture
def kitchen() -> Kitchen:
    return Kitchen()


async def test_those_who_wait_go_together(kitchen: Kitchen) -> None:
    batches = Batches(kitchen.work, at_once=1, most=3)
    first = asyncio.create_task(batches.ask(1))
    await kitchen.saw(1)
    others = [asyncio.create_task(batches.ask(n)) for n in range(2, 7)]
    await asyncio.sleep(0)
    kitchen.door.set()
    assert await asyncio.gather(first, *others) == [2, 4, 6, 8, 10, 12]
    assert kitchen.batches == [[1], [2, 3, 4], [5, 6]]
    assert await batches.ask(7) == 14


async def test_a_batch_at_work_does_not_hold_up_the_next(kitchen: Kitchen) -> None:
    batches = Batches(kitchen.work, at_once=2, most=64)
    first = asyncio.create_task(batches.ask(1))
    await kitchen.saw(1)
    second = asyncio.create_task(batches.ask(2))
    await kitchen.saw(2)
    third = asyncio.create_task(batches.ask(3))
    kitchen.door.set()
    assert list(await asyncio.gather(first, second, third)) == [2, 4, 6]
    assert kitchen.batches == [[1], [2], [3]]


async def test_each_has_its_own_answer(kitchen: Kitchen) -> None:
    batches = Batches(kitchen.work, at_once=1, most=64)
    kitchen.door.set()
    answers = await asyncio.gather(*(batches.ask(n) for n in (12, 13, 14)), return_exceptions=True)
    assert [answers[0], answers[2]] == [24, 28]
    assert isinstance(answers[1], ValueError)


async def test_what_fails_a_batch_is_asked_alone(kitchen: Kitchen) -> None:
    batches = Batches(kitchen.work, at_once=1, most=64)
    kitchen.door.set()
    answers = await asyncio.gather(*(batches.ask(n) for n in (1, 101, 2)), return_exceptions=True)
    assert [answers[0], answers[2]] == [2, 4]
    assert isinstance(answers[1], OverflowError)
    assert kitchen.batches == [[1, 101, 2], [1], [101], [2]]
    with pytest.raises(OverflowError):
        await batches.ask(102)


async def test_who_has_gone_holds_up_nobody(kitchen: Kitchen) -> None:
    batches = Batches(kitchen.work, at_once=1, most=64)
    gone, stays = (asyncio.create_task(batches.ask(n)) for n in (1, 2))
    await asyncio.sleep(0)
    gone.cancel()
    kitchen.door.set()
    assert await stays == 4


async def test_when_the_process_ends_nobody_waits_for_ever(kitchen: Kitchen) -> None:
    batches = Batches(kitchen.work, at_once=1, most=1)
    asked = [asyncio.create_task(batches.ask(n)) for n in (1, 2)]
    await kitchen.saw(1)
    [at_work] = [task for task in asyncio.all_tasks() if task.get_name() == "batches"]
    at_work.cancel()
    ended = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 5)
    assert [type(each) for each in ended] == [asyncio.CancelledError] * 2
