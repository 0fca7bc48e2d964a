"""From the stage through the journal to the manifest: what is not kept is no loss."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import ingest.recorder
from ingest.folders import Folders
from ingest.journal import Packet
from ingest.journal_end import JournalEnd
from ingest.live_room import LiveRoom
from ingest.manifest import Ended, GapFound
from ingest.marks import RecordingOpened
from ingest.opus import RATE
from ingest.peer import Peer
from ingest.reception import Reception
from ingest.recorder import Recorder
from ingest.room_clock import RoomClock
from rooms.models import RoomState
from rooms.stage import RecordMark, Stage
from tests.ingest.journals import opus, tone
from tests.ingest.listening import decode, rms
from tests.ingest.packaging import package
from tests.ingest.packing import pack_packet
from tests.ingest.test_live_room import ADA, ON, peer_of, speaker, stage

RECORDING = "recording"
SSRC = 5
LAG = 0.03

PACKETS = opus(tone(9))


@dataclass
class Studio:
    """A live room whose clock the test turns; Ada sends a packet each 20 ms."""

    room: LiveRoom
    peer: Peer
    now: Callable[[float], None]
    sent: int = 0

    def speak_until(self, seconds: float) -> None:
        while (at := (self.sent + 1) * 0.02) <= seconds:
            self.now(at)
            self.peer.streams.setdefault(SSRC, Reception(SSRC, 0)).add(self.sent, 0, at)
            if self.peer.kept:
                number = self.peer.numbers.get(SSRC)
                number = number or self.room.open_stream(self.peer, SSRC, has_level=True)
                packet = Packet(number, self.sent, self.sent * 960, 20, PACKETS[self.sent])
                self.room.keep(pack_packet(packet))
            self.room.recorder.flush()
            self.sent += 1

    def become(self, at: float, then: Stage, *, lag: float = LAG) -> None:
        """It becomes so at `at`; the receiving process learns of it `lag` seconds later."""
        self.speak_until(at + lag)
        self.now(at + lag)
        withdrawn = {ADA: round(at * 1000)} if self.room.loses_consent(then) else {}
        self.room.apply(then, withdrawn)


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Studio:
    times = [0]
    monkeypatch.setattr(ingest.recorder, "monotonic_us", lambda: times[0])

    def now(seconds: float) -> None:
        times[0] = round(seconds * 1_000_000)

    opened = RecordingOpened(RECORDING, "9", "8", 1, 1, 0, restart=False, last_room_us=0)
    recorder = Recorder(Folders(tmp_path).journal(RECORDING), opened, RoomClock(0))
    room = LiveRoom(stage(speaker(ADA)), recorder, JournalEnd())
    peer = peer_of(ADA)
    room.connected(peer)
    return Studio(room, peer, now)


MARKS = (ON, RecordMark(3000, on=False), RecordMark(5000, on=True))


@pytest.mark.parametrize(
    ("withheld", "back", "gaps"),
    [
        (stage(speaker(ADA, muted=True)), stage(speaker(ADA)), []),
        (stage(speaker(ADA, consented=False)), stage(speaker(ADA)), []),
        (
            stage(speaker(ADA), marks=MARKS[:2]),
            stage(speaker(ADA), marks=MARKS),
            [GapFound(0, None, "off_the_record", 3000, 5000)],
        ),
    ],
)
def test_two_seconds_that_are_not_kept_are_no_loss(
    studio: Studio, tmp_path: Path, withheld: Stage, back: Stage, gaps: list[GapFound]
) -> None:
    studio.become(3.0, withheld)
    studio.become(5.0, back)
    studio.become(8.0, replace(back, state=RoomState.ENDED, ended_room_ms=8000))
    studio.room.recorder.close()
    folders = Folders(tmp_path)
    lines = package(folders, RECORDING)
    ended = lines[-1]
    assert isinstance(ended, Ended)
    assert ended.packets_lost == 0
    assert ended.packets_received == studio.sent - 100
    assert [x for x in lines if isinstance(x, GapFound)] == gaps
    paused = 2.0 if gaps else 0.0
    for rendition in ("mix", f"track-{ADA}"):
        heard = decode(folders, RECORDING, rendition).signal

        def loudness(start: float, end: float, heard: np.ndarray = heard) -> float:
            return rms(heard[round(start * RATE) : round(end * RATE)])

        assert loudness(2.5, 2.9) > 0.15
        assert paused or loudness(3.1, 4.9) < 0.01
        assert loudness(5.2 - paused, 7.8 - paused) > 0.15


@pytest.mark.parametrize("lag", [0.01, 0.4])
def test_nothing_after_a_withdrawal_is_in_track_or_mix(
    studio: Studio, tmp_path: Path, lag: float
) -> None:
    """Exact to a packet, whenever the receiving process learns of it; what came before stays."""
    withdrawn = stage(speaker(ADA, consented=False))
    studio.become(3.0, withdrawn, lag=lag)
    studio.become(5.0, replace(withdrawn, state=RoomState.ENDED, ended_room_ms=5000))
    studio.room.recorder.close()
    folders = Folders(tmp_path)
    lines = package(folders, RECORDING)
    track = decode(folders, RECORDING, f"track-{ADA}")
    assert 2.95 * RATE < track.end <= 3 * RATE
    mix = decode(folders, RECORDING, "mix").signal
    assert rms(mix[round(2.8 * RATE) : round(2.9 * RATE)]) > 0.15
    assert rms(mix[round(3.03 * RATE) :]) < 0.001
    assert isinstance(lines[-1], Ended)
    assert lines[-1].packets_lost == 0


def test_a_withdrawal_after_the_end_keeps_what_was_said_before_it(
    studio: Studio, tmp_path: Path
) -> None:
    """Heard of with the end, it has no place on the room's clock: the recording is finished."""
    studio.speak_until(5.0)
    gone = stage(speaker(ADA, consented=False))
    studio.room.apply(replace(gone, state=RoomState.ENDED, ended_room_ms=5000), {})
    studio.room.recorder.close()
    folders = Folders(tmp_path)
    package(folders, RECORDING)
    track = decode(folders, RECORDING, f"track-{ADA}")
    assert 4.95 * RATE < track.end <= 5.05 * RATE
