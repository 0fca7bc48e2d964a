"""What becomes of a speaker's stream when their connection changes: real sockets, DTLS and SRTP."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.journal import Packet
from ingest.journal_end import JournalEnd
from ingest.live_room import LiveRoom
from ingest.marks import CloseReason, RecordingOpened, StreamClosed, StreamOpened
from ingest.peer import CONSENT_SECONDS, Peer
from ingest.receiver import Receiver
from ingest.recorder import Recorder
from ingest.room_clock import RoomClock, monotonic_us
from ingest.sessions import Sessions
from tests.ingest.client import check
from tests.ingest.receiving import Journal, eventually
from tests.ingest.test_endpoint import Caller
from tests.ingest.test_live_room import ADA, marks_of, speaker, stage
from tests.ingest.test_peer import make_peer

STAGE = stage(speaker(ADA))


class Studio:
    """A room on a receiver with its socket; `call` connects Ada once more."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "journal"
        opened = RecordingOpened("7", "9", "8", 1, 1, 0, restart=False, last_room_us=0)
        recorder = Recorder(self.folder, opened, RoomClock(monotonic_us()))
        sessions = Sessions(folder / "sessions")
        self.receiver = Receiver("127.0.0.1", 0, [("127.0.0.1", 0)], sessions)
        self.room = LiveRoom(STAGE, recorder, JournalEnd())
        self.receiver.add(self.room)
        self.callers: list[Caller] = []

    async def call(self, session_id: str) -> tuple[Peer, Caller]:
        caller = Caller(self.receiver.endpoint.port)
        self.callers.append(caller)
        peer = make_peer(caller.client)
        peer.session_id, peer.room_id, peer.participant_id = session_id, STAGE.room_id, ADA
        self.receiver.endpoint.add(peer)
        await caller.connect(peer)
        return peer, caller

    async def say(self, caller: Caller, first: int, last: int, *, ssrc: int = 77) -> None:
        """Packets with these numbers, until the journal holds them."""
        wanted = [n & 0xFFFF for n in range(first, last)]
        caller.send(*(caller.client.rtp(n, ssrc=ssrc) for n in range(first, last)))
        await eventually(lambda: [p.seq for p in self.said()][-len(wanted) :] == wanted)

    def said(self) -> list[Packet]:
        return Journal(self.folder).packets()

    def streams(self) -> list[tuple[str, int]]:
        """Each opening and close, in order."""
        return [
            ("opened", m.stream) if isinstance(m, StreamOpened) else (m.reason, m.stream)
            for m in marks_of(self.folder)
            if isinstance(m, StreamOpened | StreamClosed)
        ]

    async def closed(self, reason: CloseReason) -> None:
        await eventually(lambda: self.streams()[-1][0] == reason)


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Studio]:
    studio = Studio(tmp_path)
    studio.receiver.start()
    yield studio
    studio.receiver.close()
    for caller in studio.callers:
        caller.socket.close()


async def test_the_return_is_written_when_packets_are_read(tmp_path: Path) -> None:
    """Before anybody speaks: there ends the gap that the restart leaves."""
    studio = Studio(tmp_path)
    assert not studio.folder.exists(), "how long a start takes is no speaker's fault"
    studio.receiver.start()
    assert isinstance(Journal(studio.folder).marks()[0], RecordingOpened)
    studio.receiver.close()


async def test_another_address_and_an_ice_restart_are_the_same_stream(studio: Studio) -> None:
    peer, caller = await studio.call("first")
    await studio.say(caller, 65_520, 65_540)
    moved = Caller(studio.receiver.endpoint.port, caller.client)
    studio.callers.append(moved)
    moved.knock(peer)
    await eventually(moved.received)
    await studio.say(moved, 65_540, 65_560)
    fresh = studio.receiver.restart_ice(peer, "New4")
    await studio.say(moved, 65_560, 65_570)
    moved.send(check(fresh.ufrag, fresh.password, remote_ufrag="New4"))
    await eventually(lambda: peer.credentials.remote_ufrag == "New4")
    await studio.say(moved, 65_570, 65_600)
    assert studio.streams() == [("opened", 1)]
    assert {p.stream for p in studio.said()} == {1}
    assert [p.seq for p in studio.said()] == [n & 0xFFFF for n in range(65_520, 65_600)]


async def test_who_connects_again_within_the_timeout_was_lost(studio: Studio) -> None:
    _, caller = await studio.call("first")
    await studio.say(caller, 1, 20)
    _, again = await studio.call("second")
    await studio.say(again, 500, 520, ssrc=78)
    assert studio.streams() == [("opened", 1), (CloseReason.LOST, 1), ("opened", 2)]


@pytest.mark.slow
async def test_who_connects_again_after_the_timeout_was_lost(studio: Studio) -> None:
    peer, caller = await studio.call("first")
    await studio.say(caller, 1, 20)
    peer.consent_at -= CONSENT_SECONDS
    await studio.closed(CloseReason.LOST)
    _, again = await studio.call("second")
    await studio.say(again, 500, 520, ssrc=78)
    assert studio.streams() == [("opened", 1), (CloseReason.LOST, 1), ("opened", 2)]


@pytest.mark.parametrize("farewell", ["close_notify", "DELETE"])
async def test_who_says_goodbye_has_left(studio: Studio, farewell: str) -> None:
    peer, caller = await studio.call("first")
    await studio.say(caller, 1, 20)
    if farewell == "DELETE":
        studio.receiver.end_session(peer)
    else:
        caller.send(*caller.client.leave())
    await studio.closed(CloseReason.LEFT)


async def test_who_is_muted_or_sent_down_is_withheld(studio: Studio) -> None:
    _, caller = await studio.call("first")
    await studio.say(caller, 1, 20)
    studio.room.apply(stage(speaker(ADA, muted=True)))
    await studio.closed(CloseReason.WITHHELD)
    studio.room.apply(STAGE)
    await studio.say(caller, 30, 40)
    down = replace(STAGE, speakers={})
    studio.room.apply(down)
    studio.receiver.enforce(studio.room)
    await studio.closed(CloseReason.WITHHELD)
    assert [kind for kind, _ in studio.streams()] == ["opened", "withheld"] * 2
