"""Real speakers over loopback through WHIP, DTLS and SRTP into a journal that is read back."""

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.db import Database
from core.listen import Listener
from demo.opus_files import SILENCE, encode, tone
from demo.speaker import PublishFailed, Speaker
from ingest.journal import Packet
from ingest.marks import (
    RecordingOpened,
    RecordMark,
    RoomEnded,
    StreamClosed,
    StreamOpened,
    from_event,
)
from ingest.models import Recording
from ingest.udp import open_socket
from rooms.events import LIVE_CHANNEL
from rooms.models import RecordingState, Role, Room, RoomEvent
from rooms.stage import live_rooms
from tests.ingest.gate import gate_to
from tests.ingest.receiving import (
    Hall,
    Journal,
    eventually,
    eventually_async,
    receiving,
    settings_for,
)


@dataclass
class Scene:
    """A live room on a running process, with its journal."""

    hall: Hall
    journal: Journal
    url: str


@pytest.fixture
async def scene(database: Database, postgres_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    hall = Hall(database)
    await hall.go_live()
    async with receiving(settings_for(postgres_url, tmp_path)):
        yield Scene(hall, hall.journal(tmp_path), await hall.whip_url())


async def test_a_speakers_packets_reach_the_journal(scene: Scene) -> None:
    hall, journal = scene.hall, scene.journal
    ada = await hall.guest()
    said = encode(tone(0.3))
    async with Speaker() as speaker:
        await speaker.connect(scene.url, ada.token)
        speaker.play(said)
        await eventually(lambda: len(journal.said(ada.participant_id)) > 30)
        length_ms = await hall.end()
        ended = time.monotonic()
        await eventually(lambda: any(isinstance(m, RoomEnded) for m in journal.marks()))
        assert time.monotonic() - ended < 0.5
        await eventually_async(_closed(hall))
    kept = journal.said(ada.participant_id)
    payloads = [p.payload for p in kept if p.payload != SILENCE.payload]
    assert payloads == [p.payload for p in said]
    levels = [p.level for p in kept if p.payload != SILENCE.payload]
    assert levels == [p.level for p in said]
    assert [p.seq for p in kept] == list(range(kept[0].seq, kept[0].seq + len(kept)))
    first, *marks = journal.marks()
    assert isinstance(first, RecordingOpened)
    assert not first.restart
    assert marks == [
        RecordMark(0, on=True),
        StreamOpened(1, str(ada.participant_id), _ssrc(marks[1]), has_level=True),
        StreamClosed(1, len(kept), 0),
        RoomEnded(length_ms),
    ]
    times = [b.room_us for b in journal.batches()]
    assert times == sorted(times)
    assert times[-1] // 1000 >= length_ms > times[0] // 1000


def _ssrc(mark: object) -> int:
    assert isinstance(mark, StreamOpened)
    return mark.ssrc


def _closed(hall: Hall) -> Callable[[], Awaitable[bool]]:
    async def probe() -> bool:
        async with hall.database.transaction() as session:
            return hall.room_id not in await live_rooms(session)

    return probe


async def test_nothing_is_kept_without_consent_or_off_the_record(scene: Scene) -> None:
    hall, journal = scene.hall, scene.journal
    ben = await hall.guest(consent=False)
    async with Speaker() as speaker:
        await speaker.connect(scene.url, ben.token)
        await eventually(lambda: speaker.sent > 10)
        assert journal.streams(ben.participant_id) == []
        await hall.consent(ben, given=True)
        await eventually(lambda: len(journal.said(ben.participant_id)) > 5)
        await hall.record(RecordingState.PAUSED)
        marked = await eventually(lambda: [m for m in journal.marks() if m == _off(m)])
        kept, sent = len(journal.packets()), speaker.sent
        await eventually(lambda: speaker.sent > sent + 10)
        assert len(journal.packets()) == kept
        assert len(marked) == 1
        await hall.record(RecordingState.ON)
        await eventually(lambda: len(journal.packets()) > kept)
    assert journal.streams(ben.participant_id) == [1, 2], "closed and opened by the pause"
    assert next(m.lost for m in journal.marks() if isinstance(m, StreamClosed)) == 0


def _off(mark: object) -> object:
    return mark if isinstance(mark, RecordMark) and not mark.on else None


@pytest.mark.parametrize("kind", ["consent.withdrawn", "speaker.muted", "stage.left"])
async def test_what_the_api_commits_takes_effect(scene: Scene, kind: str) -> None:
    """The stream is closed, and nothing is kept of what the client goes on sending."""
    hall, journal = scene.hall, scene.journal
    ada = await hall.guest()
    async with Speaker() as speaker:
        await speaker.connect(scene.url, ada.token)
        speaker.play(encode(tone(2)))
        await eventually(lambda: len(journal.said(ada.participant_id)) > 20)
        change = {
            "consent.withdrawn": lambda: hall.consent(ada, given=False),
            "speaker.muted": lambda: hall.mute(ada),
            "stage.left": lambda: hall.demote(ada),
        }
        await change[kind]()
        await eventually(lambda: any(isinstance(m, StreamClosed) for m in journal.marks()))
        sent = speaker.sent
        await eventually(lambda: kind == "stage.left" or speaker.sent > sent + 10)
    async with hall.database.transaction() as session:
        query = sa.select(RoomEvent.room_ms).where(
            RoomEvent.room_id == hall.room_id, RoomEvent.kind == kind
        )
        room_ms = (await session.scalars(query)).one() or 0
    records = [r for b in journal.batches() for r in b.records]
    marks = [None if isinstance(r, Packet) else from_event(r) for r in records]
    ((place, closed),) = [(n, m) for n, m in enumerate(marks) if isinstance(m, StreamClosed)]
    assert not any(isinstance(r, Packet) for r in records[place:])
    assert closed.until_ms == (room_ms if kind == "consent.withdrawn" else None)


async def test_the_same_participant_again_takes_over_and_a_leaver_is_closed(scene: Scene) -> None:
    hall, journal = scene.hall, scene.journal
    ada = await hall.guest()
    async with Speaker(loss=0.2, seed=3) as speaker:
        await speaker.connect(scene.url, ada.token)
        await eventually(lambda: len(journal.said(ada.participant_id)) > 10)
        speaker.drop()
        await speaker.connect(scene.url, ada.token)
        await eventually(lambda: len(journal.streams(ada.participant_id)) == 2)
        second = journal.streams(ada.participant_id)[1]
        await eventually(lambda: sum(p.stream == second for p in journal.packets()) > 10)
        closed = [m.stream for m in journal.marks() if isinstance(m, StreamClosed)]
        assert closed == [1]
    await eventually(lambda: sum(isinstance(m, StreamClosed) for m in journal.marks()) == 2)
    lost = sum(m.lost for m in journal.marks() if isinstance(m, StreamClosed))
    assert 0 < lost <= speaker.dropped
    assert len(journal.said(ada.participant_id)) <= speaker.sent


async def test_who_leaves_the_stage_is_dropped_and_listeners_are_refused(scene: Scene) -> None:
    hall, journal = scene.hall, scene.journal
    ada = await hall.guest()
    listener = await hall.guest(role=Role.LISTENER)
    async with Speaker() as speaker:
        with pytest.raises(PublishFailed, match="not_a_speaker"):
            await speaker.connect(scene.url, listener.token)
        await speaker.connect(scene.url, ada.token)
        await eventually(lambda: journal.streams(ada.participant_id))
        await hall.demote(ada)
        await eventually(lambda: any(isinstance(m, StreamClosed) for m in journal.marks()))
        with pytest.raises(PublishFailed, match="not_a_speaker"):
            await speaker.connect(scene.url, ada.token)


@pytest.mark.slow
async def test_who_speaks_is_announced(scene: Scene, postgres_url: str) -> None:
    ada = await scene.hall.guest()
    listener = Listener(postgres_url, (LIVE_CHANNEL,))
    listener.start()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(listener.stop)
        inbox = await stack.enter_async_context(listener.subscribe(LIVE_CHANNEL))
        speaker = await stack.enter_async_context(Speaker())
        await listener.connected.wait()
        await speaker.connect(scene.url, ada.token)
        speaker.play(encode(tone(0.6)))
        message = await inbox.get()
        assert message == {
            "room_id": str(scene.hall.room_id),
            "kind": "speaking",
            "data": {"participants": [str(ada.participant_id)]},
        }
        while message["data"]["participants"]:
            message = await inbox.get()


async def test_the_placement_is_one_row_with_the_rooms_epoch(scene: Scene) -> None:
    async with scene.hall.database.transaction() as session:
        room = await session.get(Room, scene.hall.room_id)
        recording = await session.scalar(
            sa.select(Recording).where(Recording.room_id == scene.hall.room_id)
        )
    assert room is not None
    assert recording is not None
    assert (recording.id, recording.epoch, room.epoch) == (room.recording_id, 1, 1)


@pytest.mark.slow
async def test_rooms_go_on_while_the_database_is_away_even_through_a_restart(
    database: Database, postgres_url: str, tmp_path: Path
) -> None:
    hall = Hall(database)
    await hall.go_live()
    ada = await hall.guest()
    journal = hall.journal(tmp_path)

    async def more(files: int) -> None:
        def grown() -> bool:
            opened = [m for m in journal.marks() if isinstance(m, RecordingOpened)]
            return len(opened) == files and len(journal.after_restart()) > 10

        await eventually(grown)

    probe = open_socket("127.0.0.1", 0)
    udp_port = probe.getsockname()[1]
    probe.close()
    async with gate_to(postgres_url) as gate, contextlib.AsyncExitStack() as stack:
        settings = settings_for(gate.url, tmp_path, udp_port=udp_port)
        speaker = await stack.enter_async_context(Speaker())
        async with receiving(settings):
            await speaker.connect(await hall.whip_url(), ada.token)
            await more(files=1)
            await gate.shut()
            before = len(journal.packets())
            await eventually(lambda: len(journal.packets()) > before + 10)
        async with receiving(settings):
            await more(files=2)
            await gate.open()
            await hall.end()
            await eventually(lambda: any(isinstance(m, RoomEnded) for m in journal.marks()))
            await eventually_async(_closed(hall))
    opened = [m for m in journal.marks() if isinstance(m, RecordingOpened)]
    assert [o.restart for o in opened] == [False, True]
    assert opened[0].live_at_us == opened[1].live_at_us
    times = [b.room_us for b in journal.batches()]
    assert times == sorted(times)


async def test_an_ended_room_is_not_ended_twice(
    database: Database, postgres_url: str, tmp_path: Path
) -> None:
    """The journal's end was written, but the process died before the database knew."""
    hall = Hall(database)
    await hall.go_live()
    async with receiving(settings_for(postgres_url, tmp_path)):
        await hall.whip_url()
        await hall.end()
        await eventually_async(_closed(hall))
    journal = hall.journal(tmp_path)
    marks = journal.marks()
    async with database.transaction() as session:
        await session.execute(
            sa.update(Room).where(Room.id == hall.room_id).values(recording_closed_at=None)
        )
    async with receiving(settings_for(postgres_url, tmp_path)):
        await eventually_async(_closed(hall))
    assert journal.marks() == marks
