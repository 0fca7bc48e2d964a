"""What is missing in a recording is listed: receivers that died, losses, full disks."""

import pytest

from ingest.folders import Folders
from ingest.journal import MAGIC, next_journal_file, pack_batch, pack_event
from ingest.manifest import Ended, GapFound
from ingest.marks import (
    JournalInterrupted,
    Mark,
    RecordingOpened,
    RecordMark,
    RoomEnded,
    to_event,
)
from ingest.opus import RATE
from tests.ingest.journals import LIVE_AT_US, JournalMaker, Voice, participant, tone
from tests.ingest.listening import decode, rms
from tests.ingest.packaging import check_chain, package


def test_the_receiving_process_dies_and_comes_back(folders: Folders) -> None:
    maker = JournalMaker()
    maker.record(0, on=True)
    maker.speak(Voice(participant(1), tone(3), start=0))
    maker.speak(Voice(participant(1), tone(3), start=5))
    maker.end(8)
    maker.write(folders, outages=[(3.0, 4.5)])
    lines = package(folders, maker.recording_id)
    check_chain(lines)
    down, silent = [x for x in lines if isinstance(x, GapFound)]
    assert (down.cause, down.participant_id, down.room_start_ms) == ("receiver_down", None, 3000)
    assert down.room_end_ms == 4500, "when it was back, not when somebody spoke again"
    assert (silent.cause, silent.participant_id) == ("connection_lost", participant(1))
    assert silent.room_start_ms == 4500
    assert silent.room_end_ms == pytest.approx(5000, abs=30)
    heard = decode(folders, maker.recording_id, f"track-{participant(1)}").signal
    for second, loud in ((1, True), (3.5, False), (4.5, False), (6, True)):
        part = heard[round(second * RATE) : round((second + 0.4) * RATE)]
        assert (rms(part) > 0.1) == loud
    assert isinstance(lines[-1], Ended)
    assert lines[-1].media_samples == 8 * RATE


def test_each_of_two_deaths_in_a_row_is_a_gap(folders: Folders) -> None:
    maker = JournalMaker()
    maker.record(0, on=True)
    maker.close(2.1, maker.speak(Voice(participant(1), tone(2))))
    maker.end(8)
    maker.write(folders, outages=[(3.0, 4.5), (4.6, 6.0)])
    lines = package(folders, maker.recording_id)
    gaps = [x for x in lines if isinstance(x, GapFound)]
    assert gaps == [
        GapFound(0, None, "receiver_down", 3000, 4500),
        GapFound(1, None, "receiver_down", 4600, 6000),
    ]


@pytest.mark.parametrize(
    ("back_ms", "event", "gaps"),
    [
        (6000, RoomEnded(4000), [GapFound(0, None, "receiver_down", 3000, 4000)]),
        (6000, RoomEnded(2990), []),
        (
            6000,
            JournalInterrupted(4500, 6000, 7),
            [
                GapFound(0, None, "receiver_down", 3000, 4500),
                GapFound(1, None, "disk_full", 4500, 6000),
            ],
        ),
        (3000, RecordMark(3000, on=True), []),
    ],
    ids=["the room ended meanwhile", "and before", "the disk was full then", "back at once"],
)
def test_what_comes_with_the_return_bounds_the_gap(
    folders: Folders, back_ms: int, event: Mark, gaps: list[GapFound]
) -> None:
    maker = JournalMaker()
    maker.record(0, on=True)
    maker.close(2.1, maker.speak(Voice(participant(1), tone(2))))
    path = next(maker.write(folders).iterdir())
    opened = RecordingOpened(
        maker.recording_id, maker.room_id, maker.platform_id, 1, 1, LIVE_AT_US, True, 3_000_000
    )
    batch = pack_batch(back_ms * 1000, [pack_event(to_event(m)) for m in (opened, event)])
    next_journal_file(path.parent).write_bytes(MAGIC + batch)
    lines = package(folders, maker.recording_id)
    assert [x for x in lines if isinstance(x, GapFound)] == gaps


def test_bursts_of_losses_are_listed_and_single_ones_are_not(folders: Folders) -> None:
    maker = JournalMaker()
    maker.record(0, on=True)
    lost = {50, 80, 81, *range(100, 120)}
    maker.speak(Voice(participant(1), tone(5), drop=lost.__contains__))
    maker.end(5)
    maker.write(folders)
    lines = package(folders, maker.recording_id)
    (gap,) = [x for x in lines if isinstance(x, GapFound)]
    assert (gap.cause, gap.participant_id) == ("packets_lost", participant(1))
    assert gap.room_start_ms == pytest.approx(2000, abs=35)
    assert gap.room_end_ms - gap.room_start_ms == pytest.approx(400, abs=3)
    assert isinstance(lines[-1], Ended)
    assert lines[-1].packets_lost == 23


def test_a_pause_is_no_loss(folders: Folders) -> None:
    """The receiving process keeps nothing while off the record."""
    maker = JournalMaker()
    maker.record(0, on=True)
    stream = maker.speak(Voice(participant(1), tone(2.01)))
    maker.record(2, on=False)
    maker.close(2.05, stream)
    maker.record(3, on=True)
    maker.speak(Voice(participant(1), tone(2), start=3, seq=1150, timestamp=5_144_000))
    maker.end(5)
    maker.write(folders)
    lines = package(folders, maker.recording_id)
    assert isinstance(lines[-1], Ended)
    assert lines[-1].packets_lost == 0
    assert [x.cause for x in lines if isinstance(x, GapFound)] == ["off_the_record"]


def test_a_full_disk_is_listed_once_for_all(folders: Folders) -> None:
    maker = JournalMaker()
    maker.record(0, on=True)
    maker.speak(Voice(participant(1), tone(5), drop=lambda i: 100 <= i < 150))
    maker.mark(3.0, JournalInterrupted(1990, 3000, 50))
    maker.end(5)
    maker.write(folders)
    lines = package(folders, maker.recording_id)
    assert [x for x in lines if isinstance(x, GapFound)] == [
        GapFound(0, None, "disk_full", 1990, 3000)
    ]
