"""The journal's writer on a good disk, on a full one, and after its predecessor's death."""

import contextlib
import errno
import logging
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.journal import Batch, Event, JournalReader, Packet, journal_files
from ingest.journal_end import JournalEnd, read_end
from ingest.marks import (
    JournalInterrupted,
    RecordingOpened,
    RecordMark,
    RoomEnded,
    StreamOpened,
    from_event,
)
from ingest.recorder import EVENTS_AT_ONCE, RETRY_US, Recorder
from ingest.room_clock import RoomClock
from tests.ingest.packing import pack_packet

OPENED = RecordingOpened("r", "o", "p", 1, 1, 0, restart=False, last_room_us=0)
PACKET = Packet(1, 2, 3, 4, b"payload")


def recorder(folder: Path, *, floor_us: int = 0) -> Recorder:
    return Recorder(folder, OPENED, RoomClock(0, floor_us=floor_us))


def read(folder: Path) -> list[Batch]:
    batches: list[Batch] = []
    for path in journal_files(folder):
        reader = JournalReader(path)
        batches += reader.read()
        reader.close()
    return batches


@contextlib.contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Files may grow to `size` bytes: writes beyond are cut short, then fail."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_events_come_before_packets_in_one_batch_per_flush(tmp_path: Path) -> None:
    writer = recorder(tmp_path / "j")
    writer.keep(pack_packet(PACKET))
    writer.write(StreamOpened(1, "p", 7, has_level=True))
    writer.flush(5_000)
    writer.flush(6_000)
    writer.keep(pack_packet(PACKET))
    writer.flush(7_000)
    writer.close()
    first, second = read(tmp_path / "j")
    assert [type(r) for r in first.records] == [Event, Event, Packet]
    assert (first.room_us, second.room_us) == (5_000, 7_000)
    assert second.records == [PACKET]
    assert writer.packets_written == 2
    assert [p.stat().st_mode & 0o777 for p in journal_files(tmp_path / "j")] == [0o600]


def test_the_rooms_clock_never_falls_nor_lies_before_its_floor(tmp_path: Path) -> None:
    writer = recorder(tmp_path, floor_us=9_000)
    for now in (1_000, 10_000, 9_500):
        writer.keep(pack_packet(PACKET))
        writer.flush(now)
    assert [b.room_us for b in read(tmp_path)] == [9_000, 10_000, 10_000]
    writer.close()


def test_a_new_run_writes_a_new_file(tmp_path: Path) -> None:
    for _ in range(2):
        writer = recorder(tmp_path)
        writer.flush(1)
        writer.close()
    assert [p.name for p in journal_files(tmp_path)] == ["00000001.journal", "00000002.journal"]


def test_a_full_disk_costs_packets_and_says_so_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = recorder(tmp_path)
    writer.keep(pack_packet(PACKET))
    writer.flush(1_000_000)
    size = journal_files(tmp_path)[0].stat().st_size
    with disk_of(size + 20), caplog.at_level(logging.ERROR):
        for now in (2_000_000, 2_010_000, 3_000_000):
            writer.keep(pack_packet(PACKET))
            writer.write(RecordMark(now // 1000, on=False))
            writer.flush(now)
        assert writer.pending
        assert journal_files(tmp_path)[0].stat().st_size == size, "no torn batch is left"
    assert writer.packets_lost == 3
    assert len(caplog.records) == 1, "said once"
    writer.keep(pack_packet(PACKET))
    writer.flush(4_000_000)
    writer.close()
    before, after = read(tmp_path)
    assert before.room_us == 1_000_000
    marks = [from_event(r) for r in after.records if isinstance(r, Event)]
    assert marks == [
        RecordMark(2000, on=False),
        RecordMark(2010, on=False),
        RecordMark(3000, on=False),
        JournalInterrupted(2000, 4000, 3),
    ]
    assert after.records[-1] == PACKET


def test_between_attempts_the_disk_is_left_alone(tmp_path: Path) -> None:
    writer = recorder(tmp_path)
    writer.flush(0)
    with disk_of(0):
        writer.keep(pack_packet(PACKET))
        writer.flush(1_000_000)
    writer.keep(pack_packet(PACKET))
    writer.flush(1_000_000 + RETRY_US - 1)
    assert writer.packets_lost == 2
    writer.keep(pack_packet(PACKET))
    writer.flush(1_000_000 + RETRY_US)
    assert writer.packets_written == 1
    writer.close()


def test_a_file_that_cannot_be_made_is_made_later(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    writer = recorder(blocked / "journal")
    writer.keep(pack_packet(PACKET))
    writer.flush(1_000_000)
    assert writer.packets_lost == 1
    blocked.unlink()
    writer.flush(2_000_000)
    writer.close()
    (batch,) = read(tmp_path / "file" / "journal")
    marks = [from_event(r) for r in batch.records if isinstance(r, Event)]
    assert marks == [OPENED, JournalInterrupted(1000, 2000, 1)]


def test_nothing_to_say_writes_nothing(tmp_path: Path) -> None:
    writer = recorder(tmp_path)
    writer.flush(0)
    size = journal_files(tmp_path)[0].stat().st_size
    writer.flush(1)
    writer.close()
    assert journal_files(tmp_path)[0].stat().st_size == size


def test_the_end_of_all_files_is_known(tmp_path: Path) -> None:
    assert read_end(tmp_path) == JournalEnd()
    writer = recorder(tmp_path)
    writer.write(RecordMark(0, on=True))
    writer.write(StreamOpened(3, "p", 7, has_level=True))
    writer.keep(pack_packet(PACKET))
    writer.flush(5_000)
    writer.close()
    assert read_end(tmp_path) == JournalEnd(1, 5_000, 3, 1, awaited=frozenset({"p"}))
    writer = recorder(tmp_path, floor_us=5_000)
    writer.write(RecordMark(6, on=False))
    writer.write(RoomEnded(7))
    writer.flush(8_000)
    writer.close()
    assert read_end(tmp_path) == JournalEnd(2, 8_000, 3, 2, ended=True, awaited=frozenset({"p"}))


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_tail_ends_the_readable_part(tmp_path: Path, cut: int) -> None:
    writer = recorder(tmp_path)
    for now in (1_000, 2_000, 3_000):
        writer.keep(pack_packet(PACKET))
        writer.flush(now)
    writer.close()
    path = journal_files(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:-cut])
    batches = read(tmp_path)
    assert read_end(tmp_path).last_room_us == batches[-1].room_us < 3_000


def test_a_damaged_batch_ends_it_too(tmp_path: Path) -> None:
    writer = recorder(tmp_path)
    for now in (1_000, 2_000):
        writer.keep(pack_packet(PACKET))
        writer.flush(now)
    writer.close()
    path = journal_files(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert read_end(tmp_path).last_room_us == 1_000
    path.write_bytes(b"something else")
    assert read_end(tmp_path).last_room_us == 0
    path.write_bytes(b"")
    assert read_end(tmp_path) == JournalEnd(files=1)


def test_whatever_goes_wrong_costs_this_room_its_drain_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bytes:
        raise ValueError("not a matter of the disk")

    writer = recorder(tmp_path)
    writer.flush(0)
    with monkeypatch.context() as patch:
        patch.setattr("ingest.recorder.pack_batch", broken)
        writer.keep(memoryview(pack_packet(PACKET)))
        writer.flush(1_000_000)
    assert "ValueError" in caplog.text
    writer.keep(pack_packet(PACKET))
    writer.flush(1_000_000 + RETRY_US)
    writer.close()
    last = read(tmp_path)[-1]
    assert last.records[1:] == [PACKET], "nothing of the drain that failed"
    assert writer.packets_lost == 1


def test_more_events_than_a_batch_may_hold_are_several(tmp_path: Path) -> None:
    writer = recorder(tmp_path)
    for number in range(2 * EVENTS_AT_ONCE + 1):
        writer.write(RecordMark(number, on=False))
    writer.keep(pack_packet(PACKET))
    writer.flush(1_000)
    writer.close()
    found = [r for batch in read(tmp_path) for r in batch.records]
    marks = [from_event(r) for r in found if isinstance(r, Event)][1:]
    assert marks == [RecordMark(n, on=False) for n in range(2 * EVENTS_AT_ONCE + 1)]
    assert found[-1] == PACKET


def test_a_torn_batch_that_cannot_be_cut_off_now_is_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_: int) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    writer = recorder(tmp_path)
    writer.flush(0)
    size = journal_files(tmp_path)[0].stat().st_size
    with disk_of(size + 20), monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", read_only)
        writer.keep(pack_packet(PACKET))
        writer.flush(1_000_000)
    assert journal_files(tmp_path)[0].stat().st_size > size, "a part of it stands"
    writer.keep(pack_packet(PACKET))
    writer.flush(2_000_000)
    writer.close()
    assert read(tmp_path)[-1].records[-1] == PACKET


def test_what_somebody_else_put_there_is_no_journal(tmp_path: Path) -> None:
    (tmp_path / "before-upgrade.journal").write_bytes(b"")
    writer = recorder(tmp_path)
    writer.flush(1)
    writer.close()
    assert [p.name for p in journal_files(tmp_path)] == ["00000001.journal"]
