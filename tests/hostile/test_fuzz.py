"""A few seconds of the timed run, and every failure that a longer one has left in .cache/fuzz."""

import random
from pathlib import Path

import pytest

from tests.hostile.fuzz import FOUND, Input, attacked, fuzz, kept, mutate, play

pytestmark = pytest.mark.slow


async def test_five_seconds_of_fuzz_harm_nothing(tmp_path: Path) -> None:
    sent, found = await fuzz(5, 20261122, tmp_path)
    assert [path.read_text() for path in found] == []
    assert sent.total() > 0


async def test_failures_of_before_are_none_now(tmp_path: Path) -> None:
    """All in one: as cases of their own, none would be a test that is skipped."""
    wrong = {}
    for path in sorted(FOUND.glob("*.json")):
        async with attacked(tmp_path / path.stem) as (attacker, watch):
            if said := await play(attacker, watch, kept(path)):
                wrong[path.stem] = said
    assert wrong == {}


async def test_a_fault_is_noticed(tmp_path: Path) -> None:
    """The run would tell: here the receiver's journal refuses what Eve says."""
    async with attacked(tmp_path) as (attacker, watch):
        await attacker._be_there()

        def broken(*_: object) -> None:
            raise RuntimeError("broken")

        sink = type("Broken", (), {"open_stream": broken})()
        attacker.eve.peer.sink = sink
        plain = b"\x80\x6f" + bytes(10) + b"opus"
        assert "broken" in await play(attacker, watch, [Input("rtp", plain)])


def test_a_seed_gives_the_same_inputs() -> None:
    first, second = (random.Random(7) for _ in range(2))  # noqa: S311 - the same dice twice
    assert [mutate(first, b"x" * 60) for _ in range(50)] == [
        mutate(second, b"x" * 60) for _ in range(50)
    ]
