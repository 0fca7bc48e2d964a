"""What the stage lets the recorder keep."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.journal import LAST_STREAM, NO_LEVEL, Event, Packet
from ingest.journal_end import JournalEnd, read_end
from ingest.live_room import LiveRoom
from ingest.marks import (
    CloseReason,
    Mark,
    RecordingOpened,
    RoomEnded,
    SpeakerReleased,
    StreamClosed,
    StreamOpened,
)
from ingest.marks import RecordMark as Marked
from ingest.peer import Peer
from ingest.reception import Reception
from ingest.recorder import Recorder
from ingest.room_clock import RoomClock
from rooms.models import RoomState
from rooms.stage import RecordMark, Speaker, Stage
from tests.ingest.packing import pack_packet
from tests.ingest.receiving import Journal
from tests.ingest.test_peer import make_peer

ADA, BEN = UUID(int=1), UUID(int=2)
ON, OFF = RecordMark(0, on=True), RecordMark(500, on=False)


def speaker(
    participant_id: UUID, *, on_stage: bool = True, muted: bool = False, consented: bool = True
) -> Speaker:
    return Speaker(participant_id, uuid4(), "Somebody", on_stage, muted, consented)


def stage(*speakers: Speaker, marks: tuple[RecordMark, ...] = (ON,)) -> Stage:
    return Stage(
        room_id=UUID(int=9),
        platform_id=UUID(int=8),
        recording_id=UUID(int=7),
        state=RoomState.LIVE,
        live_at=datetime(2026, 1, 1, tzinfo=UTC),
        marks=marks,
        ended_room_ms=None,
        speakers={s.participant_id: s for s in speakers},
    )


def open_room(folder: Path, now: Stage, end: JournalEnd | None = None) -> LiveRoom:
    opened = RecordingOpened("7", "9", "8", 1, 1, 0, restart=False, last_room_us=0)
    room = LiveRoom(now, Recorder(folder, opened, RoomClock(0)), end or JournalEnd())
    room.recorder.flush()
    return room


def peer_of(participant_id: UUID) -> Peer:
    peer = make_peer()
    peer.participant_id = participant_id
    return peer


def say(room: LiveRoom, peer: Peer, seq: int, *, ssrc: int = 5, level: int = 20) -> None:
    """As `Peer.on_rtp` does with a packet that it has decrypted."""
    peer.streams.setdefault(ssrc, Reception(ssrc, seq)).add(seq, 0, 0)
    if peer.kept and peer.sink is not None:
        has_level = level != NO_LEVEL
        number = peer.numbers.get(ssrc) or room.open_stream(peer, ssrc, has_level=has_level)
        peer.sink.keep(pack_packet(Packet(number, seq, seq * 960, level, b"opus")))
    room.recorder.flush()


def marks_of(folder: Path) -> list[Mark]:
    return Journal(folder).marks()[1:]


@given(
    on_stage=st.booleans(),
    muted=st.booleans(),
    consented=st.booleans(),
    on_record=st.booleans(),
    late=st.booleans(),
)
def test_kept_is_on_stage_and_consented_and_not_muted_and_on_record(
    tmp_path_factory: pytest.TempPathFactory,
    on_stage: bool,
    muted: bool,
    consented: bool,
    on_record: bool,
    late: bool,
) -> None:
    """Whether the peer came before the stage became so, or after."""
    then = stage(
        speaker(ADA, on_stage=on_stage, muted=muted, consented=consented),
        marks=(ON,) if on_record else (ON, OFF),
    )
    room = open_room(tmp_path_factory.mktemp("j"), then if late else stage())
    peer = peer_of(ADA)
    room.connected(peer)
    room.apply(then)
    assert peer.kept == (on_stage and not muted and consented and on_record)
    assert room.may_speak(ADA) == on_stage
    assert room.may_be_heard(ADA) == (on_stage and not muted)
    room.recorder.close()


def test_somebody_unknown_is_not_kept(tmp_path: Path) -> None:
    room = open_room(tmp_path, stage(speaker(ADA)))
    peer = peer_of(BEN)
    room.connected(peer)
    assert not peer.kept
    assert not room.may_speak(BEN)
    room.recorder.close()


def test_a_stream_opens_with_its_first_kept_packet_and_closes_with_its_counts(
    tmp_path: Path,
) -> None:
    room = open_room(tmp_path, stage(speaker(ADA, consented=False)))
    peer = peer_of(ADA)
    room.connected(peer)
    say(room, peer, 1)
    assert marks_of(tmp_path) == [Marked(0, on=True)]
    room.apply(stage(speaker(ADA)))
    say(room, peer, 2)
    say(room, peer, 4)
    say(room, peer, 9, ssrc=6, level=NO_LEVEL)
    room.gone(peer)
    assert marks_of(tmp_path)[1:] == [
        StreamOpened(1, str(ADA), 5, has_level=True),
        StreamOpened(2, str(ADA), 6, has_level=False),
        StreamClosed(1, 2, 1, reason=CloseReason.LEFT),
        StreamClosed(2, 1, 0, reason=CloseReason.LEFT),
    ]
    assert [(p.stream, p.seq) for p in Journal(tmp_path).packets()] == [(1, 2), (1, 4), (2, 9)]
    room.recorder.close()


@pytest.mark.parametrize(
    "withheld",
    [
        stage(speaker(ADA, muted=True)),
        stage(speaker(ADA, on_stage=False)),
        stage(speaker(ADA, consented=False)),
        stage(),
        stage(speaker(ADA), marks=(ON, OFF)),
    ],
)
def test_what_is_kept_again_is_a_new_stream(tmp_path: Path, withheld: Stage) -> None:
    room = open_room(tmp_path, stage(speaker(ADA)))
    peer = peer_of(ADA)
    room.connected(peer)
    say(room, peer, 1)
    room.apply(withheld)
    room.apply(withheld)
    for seq in (2, 3, 5):
        say(room, peer, seq)
    room.apply(replace(stage(speaker(ADA)), marks=(ON, OFF, RecordMark(900, on=True))))
    say(room, peer, 6)
    say(room, peer, 8)
    room.gone(peer)
    assert [m for m in marks_of(tmp_path) if not isinstance(m, Marked)] == [
        StreamOpened(1, str(ADA), 5, has_level=True),
        StreamClosed(1, 1, 0),
        StreamOpened(2, str(ADA), 5, has_level=True),
        StreamClosed(2, 2, 1, reason=CloseReason.LEFT),
    ]
    assert [(p.stream, p.seq) for p in Journal(tmp_path).packets()] == [(1, 1), (2, 6), (2, 8)]
    room.recorder.close()


def test_stream_numbers_come_round_past_those_in_use(tmp_path: Path) -> None:
    end = JournalEnd(files=1, streams=LAST_STREAM - 1, marks=1)
    room = open_room(tmp_path, stage(speaker(ADA), speaker(BEN)), end)
    ada, ben = peer_of(ADA), peer_of(BEN)
    room.connected(ada)
    room.connected(ben)
    say(room, ada, 1)
    say(room, ben, 1)
    assert (Journal(tmp_path).streams(ADA), Journal(tmp_path).streams(BEN)) == ([LAST_STREAM], [1])
    room.apply(stage(speaker(ADA, muted=True), speaker(BEN)))
    room.apply(stage(speaker(ADA), speaker(BEN)))
    say(room, ada, 2)
    assert Journal(tmp_path).streams(ADA) == [LAST_STREAM, 2]
    room.recorder.close()


def test_marks_are_written_once_in_order_also_after_a_restart(tmp_path: Path) -> None:
    room = open_room(tmp_path, stage(marks=(ON,)))
    room.apply(stage(marks=(ON, OFF)))
    room.apply(stage(marks=(ON, OFF)))
    room.recorder.close()
    assert marks_of(tmp_path) == [Marked(0, on=True), Marked(500, on=False)]
    again = RecordMark(900, on=True)
    room = open_room(tmp_path, stage(marks=(ON, OFF, again)), JournalEnd(files=1, marks=2))
    room.recorder.close()
    assert [m for m in marks_of(tmp_path) if isinstance(m, Marked)][2:] == [Marked(900, on=True)]


def test_stream_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    room = open_room(tmp_path, stage(speaker(ADA)), JournalEnd(files=1, streams=41, marks=1))
    peer = peer_of(ADA)
    room.connected(peer)
    say(room, peer, 1)
    assert Journal(tmp_path).streams(ADA) == [42]
    room.recorder.close()


def test_who_connects_again_takes_his_own_place(tmp_path: Path) -> None:
    room = open_room(tmp_path, stage(speaker(ADA)))
    old, new = peer_of(ADA), peer_of(ADA)
    assert room.connected(old) is None
    assert room.connected(old) is None
    say(room, old, 1)
    assert room.connected(new) is old
    say(room, old, 2)
    say(room, new, 7, ssrc=6)
    room.gone(old)
    assert room.peers == {ADA: new}
    assert [(p.stream, p.seq) for p in Journal(tmp_path).packets()] == [(1, 1), (2, 7)]
    assert StreamClosed(1, 1, 0, reason=CloseReason.LOST) in marks_of(tmp_path)
    room.recorder.close()


def test_the_end_is_written_at_once_and_nothing_after_it(tmp_path: Path) -> None:
    room = open_room(tmp_path, stage(speaker(ADA)))
    peer = peer_of(ADA)
    room.connected(peer)
    say(room, peer, 1)
    ended = replace(stage(speaker(ADA)), state=RoomState.ENDED, ended_room_ms=1234)
    room.apply(ended)
    assert marks_of(tmp_path)[-2:] == [StreamClosed(1, 1, 0), RoomEnded(1234)]
    say(room, peer, 2)
    room.apply(stage(speaker(ADA), marks=(ON, OFF)))
    room.gone(peer)
    assert marks_of(tmp_path)[-1] == RoomEnded(1234)
    assert len(Journal(tmp_path).packets()) == 1
    assert not room.may_speak(ADA)
    room.recorder.close()


def lost_peer(folder: Path, end: JournalEnd | None = None) -> LiveRoom:
    """A room in which Ada spoke until her connection fell silent."""
    room = open_room(folder, stage(speaker(ADA)), end)
    peer = peer_of(ADA)
    room.connected(peer)
    say(room, peer, 1)
    peer.lost = True
    room.gone(peer)
    assert marks_of(folder)[-1] == StreamClosed(1, 1, 0, reason=CloseReason.LOST)
    return room


@pytest.mark.parametrize(
    "then",
    [
        stage(),
        stage(speaker(ADA, on_stage=False)),
        stage(speaker(ADA, muted=True)),
        stage(speaker(ADA, consented=False)),
        stage(speaker(ADA, muted=True), marks=(ON, OFF)),
    ],
    ids=["gone", "off the stage", "muted", "no consent", "muted in a pause"],
)
def test_who_was_lost_is_released_once_when_nobody_waits_any_more(
    tmp_path: Path, then: Stage
) -> None:
    room = lost_peer(tmp_path)
    room.apply(stage(speaker(ADA), marks=(ON, OFF)))
    released = SpeakerReleased(str(ADA))
    assert released not in marks_of(tmp_path), "a pause releases nobody"
    room.apply(then)
    room.apply(stage(speaker(ADA)))
    room.apply(then)
    assert marks_of(tmp_path).count(released) == 1
    room.recorder.close()


def test_who_was_lost_and_speaks_again_is_not_released(tmp_path: Path) -> None:
    room = lost_peer(tmp_path)
    peer = peer_of(ADA)
    room.connected(peer)
    say(room, peer, 7, ssrc=6)
    room.apply(stage(speaker(ADA, muted=True)))
    assert SpeakerReleased(str(ADA)) not in marks_of(tmp_path)
    room.recorder.close()


def test_who_was_lost_and_hangs_up_before_a_word_is_released(tmp_path: Path) -> None:
    room = lost_peer(tmp_path)
    peer = peer_of(ADA)
    room.connected(peer)
    room.gone(peer)
    assert marks_of(tmp_path)[-1] == SpeakerReleased(str(ADA))
    room.recorder.close()


@pytest.mark.parametrize("still", [True, False])
def test_who_spoke_when_the_receiver_died_is_waited_for(tmp_path: Path, still: bool) -> None:
    room = open_room(tmp_path, stage(speaker(ADA), speaker(BEN)))
    for participant_id in (ADA, BEN):
        peer = peer_of(participant_id)
        room.connected(peer)
        say(room, peer, 1)
    room.gone(room.peers[BEN])
    room.recorder.close()
    end = read_end(tmp_path)
    assert end.awaited == {str(ADA)}
    after = open_room(tmp_path, stage(speaker(ADA, muted=not still), speaker(BEN)), end)
    assert (SpeakerReleased(str(ADA)) in marks_of(tmp_path)) == (not still)
    after.recorder.close()
    assert read_end(tmp_path).awaited == ({str(ADA)} if still else set())


def test_what_was_said_before_a_goodbye_lies_before_it(tmp_path: Path) -> None:
    room = open_room(tmp_path, stage(speaker(ADA)))
    peer = peer_of(ADA)
    room.connected(peer)
    say(room, peer, 1)
    assert peer.sink is not None
    peer.sink.keep(pack_packet(Packet(1, 2, 1920, 20, b"last")))
    room.gone(peer)
    room.recorder.close()
    records = [r for batch in Journal(tmp_path).batches() for r in batch.records]
    kinds = [r.kind if isinstance(r, Event) else r.payload for r in records]
    assert kinds[-2:] == [b"last", "stream.closed"]
