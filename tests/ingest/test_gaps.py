"""What is listed as missing of one speaker, and what is only silence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.folders import Folders
from ingest.gaps import DTX_INTERVAL, LISTED, UNTOLD, Missing, SpeakerGaps, Stretch, without
from ingest.manifest import GapFound, Line
from ingest.marks import CloseReason, SpeakerReleased
from ingest.models import GapCause
from ingest.opus import RATE
from ingest.timeline import Placed
from tests.ingest.journals import JournalMaker, Voice, participant, quiet, tone
from tests.ingest.packaging import package

LOUD, DTX = bytes([0xF8, *bytes(60)]), b"\xf8"
SECOND = RATE
LOST = GapCause.CONNECTION_LOST


def packet(
    start: int, *, stream: int = 1, payload: bytes = LOUD, level: int = 30, lost: int = 0
) -> Placed:
    return Placed(stream, start, 960, level, payload, lost)


def heard(*, stream: int = 1, payload: bytes = LOUD, level: int = 30) -> SpeakerGaps:
    """Whose last packet ended at one second."""
    gaps = SpeakerGaps()
    gaps.opened(stream)
    gaps.last = packet(SECOND - 960, stream=stream, payload=payload, level=level)
    return gaps


def test_nothing_is_missing_before_the_first_packet() -> None:
    gaps = SpeakerGaps()
    assert gaps.before(packet(9 * SECOND)) is None
    assert gaps.end(9 * SECOND) is None


@pytest.mark.parametrize("lost", [LISTED, 5 * SECOND])
def test_a_hole_in_the_sequence_is_a_loss_whatever_came_before(lost: int) -> None:
    start = SECOND + lost
    for gaps in (heard(), heard(payload=DTX)):
        found = gaps.before(packet(start, lost=lost))
        assert found == Missing(GapCause.PACKETS_LOST, SECOND, start)


@pytest.mark.parametrize(("payload", "level"), [(DTX, 30), (LOUD, 127), (LOUD, 70)])
def test_silence_without_a_hole_in_the_sequence_is_dtx(payload: bytes, level: int) -> None:
    gaps = heard(payload=payload, level=level)
    assert gaps.before(packet(60 * SECOND)) is None
    assert gaps.end(60 * SECOND) is None


def test_a_connection_that_stood_still_in_a_word_is_listed() -> None:
    assert heard().before(packet(3 * SECOND)) == Missing(LOST, SECOND, 3 * SECOND)
    assert heard(level=255).before(packet(3 * SECOND)) == Missing(LOST, SECOND, 3 * SECOND)


@pytest.mark.parametrize(("payload", "patience"), [(LOUD, LISTED), (DTX, LISTED + DTX_INTERVAL)])
def test_from_the_last_packet_of_a_lost_connection_to_the_first_of_the_next(
    payload: bytes, patience: int
) -> None:
    for length in (patience - 960, patience, 60 * SECOND):
        gaps = heard(payload=payload)
        gaps.closed(1, CloseReason.LOST, 30 * SECOND)
        expected = Missing(LOST, SECOND, SECOND + length) if length >= patience else None
        assert gaps.before(packet(SECOND + length, stream=2)) == expected
        assert gaps.end(SECOND + length) == expected


@pytest.mark.parametrize("reason", [CloseReason.LEFT, CloseReason.WITHHELD])
def test_who_hung_up_or_was_withheld_is_not_missed(reason: CloseReason) -> None:
    gaps = heard()
    gaps.closed(1, reason, SECOND + UNTOLD // 2)
    assert gaps.before(packet(60 * SECOND, stream=2)) is None
    assert gaps.end(60 * SECOND) is None


def test_a_silence_that_ended_with_a_mute_is_missed_until_then() -> None:
    gaps = heard()
    gaps.closed(1, CloseReason.WITHHELD, 5 * SECOND)
    assert gaps.before(packet(60 * SECOND, stream=2)) == Missing(LOST, SECOND, 5 * SECOND)
    assert gaps.end(60 * SECOND) == Missing(LOST, SECOND, 5 * SECOND)


def test_a_released_speaker_is_missed_until_then() -> None:
    gaps = heard()
    gaps.closed(1, CloseReason.LOST, 3 * SECOND)
    gaps.released(7 * SECOND)
    gaps.released(9 * SECOND)
    assert gaps.end(60 * SECOND) == Missing(LOST, SECOND, 7 * SECOND)
    assert gaps.before(packet(60 * SECOND, stream=2)) == Missing(LOST, SECOND, 7 * SECOND)


def test_a_number_that_comes_round_is_another_stream() -> None:
    gaps = heard()
    gaps.closed(1, CloseReason.LEFT, SECOND)
    gaps.opened(1)
    gaps.last = packet(20 * SECOND)
    assert gaps.before(packet(23 * SECOND)) == Missing(LOST, 20 * SECOND + 960, 23 * SECOND)


stretches = st.tuples(st.integers(0, 50), st.integers(0, 50)).map(lambda s: (min(s), max(s)))


@given(stretches, st.lists(stretches, max_size=5))
def test_without_leaves_exactly_what_is_in_none_of_them(
    stretch: Stretch, taken: list[Stretch]
) -> None:
    expected = [at for at in range(*stretch) if not any(start <= at < end for start, end in taken)]
    assert [at for start, end in without(stretch, taken) for at in range(start, end)] == expected


# Through the packager


def listed(lines: list[Line]) -> list[tuple[str, str | None, float, float]]:
    return [
        (
            g.cause,
            g.participant_id,
            round(g.room_start_ms / 1000, 1),
            round(g.room_end_ms / 1000, 1),
        )
        for g in lines
        if isinstance(g, GapFound)
    ]


def interrupted(reason: CloseReason, *, back: float | None, closed: float = 3.0) -> JournalMaker:
    """Ada speaks for 2 s; her stream is closed at 3 s; she is back for a second, if ever."""
    maker = JournalMaker()
    maker.record(0, on=True)
    stream = maker.speak(Voice(participant(1), tone(2), delay=0))
    maker.speak(Voice(participant(2), tone(8, amplitude=0.1)))
    maker.close(closed, stream, reason)
    if back is not None:
        again = Voice(participant(1), tone(1), start=back, delay=0, seq=7, timestamp=9)
        maker.close(back + 1.1, maker.speak(again))
    return maker


ADA = participant(1)


@pytest.mark.parametrize(
    ("reason", "back", "gap"),
    [
        (CloseReason.LOST, 5.0, [("connection_lost", ADA, 2.0, 5.0)]),
        (CloseReason.LOST, None, [("connection_lost", ADA, 2.0, 8.0)]),
        (CloseReason.LEFT, 5.0, []),
        (CloseReason.LEFT, None, []),
        (CloseReason.WITHHELD, 5.0, [("connection_lost", ADA, 2.0, 3.0)]),
    ],
)
def test_a_lost_connection_is_a_gap_of_that_speaker(
    folders: Folders, reason: CloseReason, back: float | None, gap: list[object]
) -> None:
    maker = interrupted(reason, back=back)
    maker.end(8)
    maker.write(folders)
    assert listed(package(folders, maker.recording_id)) == gap


def test_a_pause_is_not_in_the_gap(folders: Folders) -> None:
    maker = interrupted(CloseReason.LOST, back=6.0)
    maker.record(3.5, on=False)
    maker.record(5.0, on=True)
    maker.end(8)
    maker.write(folders)
    assert listed(package(folders, maker.recording_id)) == [
        ("off_the_record", None, 3.5, 5.0),
        ("connection_lost", ADA, 2.0, 3.5),
        ("connection_lost", ADA, 5.0, 6.0),
    ]


def test_who_is_released_is_missed_no_longer(folders: Folders) -> None:
    maker = interrupted(CloseReason.LOST, back=None)
    maker.mark(4.99, SpeakerReleased(ADA))
    maker.end(8)
    maker.write(folders)
    assert listed(package(folders, maker.recording_id)) == [("connection_lost", ADA, 2.0, 5.0)]


def test_a_dead_receiver_explains_what_it_covers(folders: Folders) -> None:
    """Ada's session does not survive it: she connects again two seconds after its return."""
    maker = JournalMaker()
    maker.record(0, on=True)
    maker.speak(Voice(ADA, tone(3), delay=0))
    maker.close(7.1, maker.speak(Voice(ADA, tone(1), start=6, delay=0, seq=7)))
    maker.end(8)
    maker.write(folders, outages=[(2.5, 4.0)])
    assert listed(package(folders, maker.recording_id)) == [
        ("receiver_down", None, 2.5, 4.0),
        ("connection_lost", ADA, 4.0, 6.0),
    ]


def test_dtx_and_silence_are_no_gaps(folders: Folders) -> None:
    """Between two words only every twentieth packet is sent, and says nothing."""
    maker = JournalMaker()
    maker.record(0, on=True)
    signal = quiet(6)
    signal[: 2 * RATE] = tone(2)
    signal[4 * RATE :] = tone(2)
    maker.speak(Voice(ADA, signal))
    maker.end(6.1)
    maker.write(folders)
    assert listed(package(folders, maker.recording_id)) == []
