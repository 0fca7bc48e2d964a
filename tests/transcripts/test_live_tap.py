"""What captions hear of a journal: whole utterances at their times, and nothing they must not."""

from pathlib import Path
from uuid import UUID

import pytest

from ingest.folders import Folders
from ingest.marks import CloseReason, RoomLeft, StreamClosed
from tests.ingest.journals import JournalMaker, Pcm, Voice, participant, quiet
from tests.ingest.speech import SPEECH, noise, read
from transcripts.live_tap import LiveTap
from transcripts.utterances import Utterance

ADA, BEN = participant(1), participant(2)
BEFORE = 1.0


def hello() -> Pcm:
    """Seven seconds in which Ada speaks three sentences."""
    return read(SPEECH / "01-ada.opus")


class Room:
    """A journal that a tap has seen the beginning of; `listen` writes the rest bit by bit."""

    def __init__(self, folder: Path) -> None:
        self.maker = JournalMaker()
        self.maker.record(0, on=True)
        self.folder = Folders(folder).journal(self.maker.recording_id)

    def says(self, who: str, signal: Pcm, start: float = BEFORE, **how: bool) -> int:
        return self.maker.speak(Voice(who, signal, start=start, **how))  # type: ignore[arg-type]

    def listen(self) -> list[Utterance]:
        self.folder.mkdir(parents=True)
        path = self.folder / "00000001.journal"
        opened = self.maker.opened(0, restart=False)
        path.write_bytes(b"ENCJRNL1" + opened)
        tap = LiveTap(self.folder)
        assert tap.read(0) == []
        heard: list[Utterance] = []
        with path.open("ab", buffering=0) as journal:
            for batch in self.maker.batches():
                journal.write(batch)
                heard += tap.read(0)
        heard += tap.read(2_000_000)
        self.tap = tap
        tap.close()
        return heard


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def spoken(heard: list[Utterance]) -> list[tuple[float, float]]:
    return [(u.start_ms / 1000, u.end_ms / 1000) for u in heard]


def test_utterances_lie_where_they_were_said(room: Room) -> None:
    room.says(ADA, hello())
    heard = room.listen()
    assert {u.participant_id for u in heard} == {UUID(ADA)}
    times = spoken(heard)
    assert times == sorted(times)
    assert times[0][0] == pytest.approx(BEFORE + 0.1, abs=0.2)
    assert times[-1][1] == pytest.approx(BEFORE + hello().size / 48_000, abs=0.2)
    for u in heard:
        padded = u.pcm.size / 16
        assert u.end_ms - u.start_ms <= padded <= u.end_ms - u.start_ms + 500


def test_each_speaker_is_heard_alone(room: Room) -> None:
    room.says(ADA, hello())
    room.says(BEN, read(SPEECH / "02-ben.opus"), 3.0)
    heard = room.listen()
    assert {u.participant_id for u in heard} == {UUID(ADA), UUID(BEN)}
    assert max(u.end_ms for u in heard if u.participant_id == UUID(ADA)) < 8500


def test_noise_and_silence_are_no_speech(room: Room) -> None:
    room.says(ADA, noise(4, -40))
    room.says(BEN, quiet(4))
    assert room.listen() == []


def test_a_sender_without_levels_is_heard_too(room: Room) -> None:
    room.says(ADA, hello(), has_level=False)
    assert room.listen()


def test_nothing_off_the_record_is_heard(room: Room) -> None:
    """The mark reaches the journal half a second after it took effect."""
    room.says(ADA, hello())
    room.maker.record(BEFORE + 3, on=False, late=0.5)
    room.maker.record(BEFORE + 5, on=True)
    heard = room.listen()
    assert heard
    off = (BEFORE + 3) * 1000, (BEFORE + 5) * 1000
    assert all(u.end_ms <= off[0] or u.start_ms >= off[1] for u in heard)
    assert any(u.start_ms >= off[1] for u in heard)


def test_what_was_handed_out_before_a_late_mark_is_known_to_be_withheld(room: Room) -> None:
    room.says(ADA, hello())
    room.maker.record(BEFORE + 0.5, on=False, late=4)
    heard = room.listen()
    assert heard
    assert not any(room.tap.may_be_shown(u) for u in heard if u.end_ms > 1500)


def test_nothing_after_a_withdrawal_is_used(room: Room) -> None:
    stream = room.says(ADA, hello())
    at = BEFORE + 4
    room.maker.mark(at + 0.3, StreamClosed(stream, 0, 0, round(at * 1000)))
    heard = room.listen()
    assert heard
    assert all(u.end_ms <= at * 1000 for u in heard)


def test_who_is_muted_or_lost_ends_an_utterance(room: Room) -> None:
    stream = room.says(ADA, hello())
    room.maker.close(BEFORE + 4, stream, CloseReason.LOST)
    assert spoken(room.listen())[-1][1] == pytest.approx(BEFORE + 4, abs=0.3)


def test_the_end_of_the_room_ends_the_last_word(room: Room) -> None:
    room.says(ADA, hello())
    room.maker.mark(BEFORE + 5, RoomLeft(round((BEFORE + 5) * 1000)))
    heard = room.listen()
    assert room.tap.ended
    assert spoken(heard)[-1][1] == pytest.approx(BEFORE + 5, abs=0.2)


def test_a_tap_that_begins_late_hears_the_last_seconds_only(room: Room) -> None:
    room.says(ADA, hello())
    room.says(BEN, hello(), 30)
    folder = room.maker.write(Folders(room.folder.parents[1]))
    tap = LiveTap(folder)
    heard = [*tap.read(0), *tap.read(2_000_000)]
    tap.close()
    assert {u.participant_id for u in heard} == {UUID(BEN)}
    assert spoken(heard)[0][0] == pytest.approx(30.1, abs=0.3)
