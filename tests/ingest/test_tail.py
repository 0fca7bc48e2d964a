"""The tail of a growing journal, and the room's clock between its batches."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.journal import MAGIC, RawBatch, pack_batch
from ingest.tail import JournalClock, JournalTail


def write(folder: Path, number: int, data: bytes) -> None:
    with (folder / f"{number:08d}.journal").open("ab") as file:
        file.write(data)


def times(batches: list[RawBatch]) -> list[int]:
    return [batch.room_us for batch in batches]


def test_batches_come_once_and_as_soon_as_they_are_whole(tmp_path: Path) -> None:
    tail = JournalTail(tmp_path)
    assert tail.read() == []
    write(tmp_path, 1, MAGIC + pack_batch(1, []))
    assert times(tail.read()) == [1]
    half = pack_batch(2, [])
    write(tmp_path, 1, half[:7])
    assert tail.read() == []
    write(tmp_path, 1, half[7:])
    assert times(tail.read()) == [2]
    assert tail.read() == []
    tail.close()


def test_the_next_file_follows_when_the_one_before_is_read(tmp_path: Path) -> None:
    tail = JournalTail(tmp_path)
    write(tmp_path, 1, MAGIC + pack_batch(1, []))
    assert times(tail.read()) == [1]
    write(tmp_path, 1, pack_batch(2, []) + b"torn")
    write(tmp_path, 2, MAGIC)
    write(tmp_path, 3, MAGIC + pack_batch(3, []))
    assert times(tail.read()) == [2]
    assert times(tail.read()) == [3]
    assert tail.read() == []
    tail.close()


def test_a_folder_that_does_not_exist_has_no_batches(tmp_path: Path) -> None:
    tail = JournalTail(tmp_path / "nowhere")
    assert tail.read() == []
    assert tail.modified_us is None


@given(
    st.integers(-3600_000_000, 3600_000_000),
    st.lists(st.integers(0, 60_000), min_size=1, max_size=30),
)
@settings(deadline=None)
def test_the_clock_follows_the_freshest_batch(offset: int, ages: list[int]) -> None:
    """`offset`: how far this machine's clock is off; the least age of a batch remains."""
    clock = JournalClock(1_000_000_000_000)
    for number, age in enumerate(ages):
        room_us = number * 100_000
        clock.observe(room_us, 1_000_000_000_000 + room_us + offset + age)
    assert clock.now(1_000_000_000_000 + 9_000_000 + offset) == 9_000_000 - min(ages)


def test_old_observations_are_forgotten() -> None:
    clock = JournalClock(0)
    clock.observe(0, 10)
    clock.observe(6_000_000, 6_000_500)
    assert clock.now(7_000_000) == 6_999_500
