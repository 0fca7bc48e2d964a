"""Whoever has left is named nowhere any more: in rooms at once, in transcripts by a job."""

import asyncpg
import sqlalchemy as sa

from core.auth.leaving import NOBODY
from payouts.leaving import leave
from replay.subtitles import CueKind, SubtitleCue, SubtitleTrack, shown_cues, subtitles_version
from rooms.events import TIP_SENT, record_event
from rooms.models import Participant, Room, RoomEvent
from rooms.participation import join_room
from tests.factories import as_user
from tests.rooms.conftest import make_house
from tests.transcripts.heard import make_heard, spoken
from transcripts.models import Rename, SpeakerName, Transcript
from transcripts.naming import name_speaker
from workers.jobs import forget_lately_left
from workers.kinds import Tools
from workers.run import drain


async def test_transcripts_forget_how_they_called_who_has_left(
    tools: Tools, queue: asyncpg.Connection
) -> None:
    async with tools.database.transaction() as session:
        heard = await make_heard(await make_house(session))
        ada, grace = await heard.speaker("Ada"), await heard.speaker("Grace")
        words = {ada: spoken("hello sea"), grace: spoken("welcome all", 20_000)}
        await heard.publish(await heard.run(words))
        recording_id, host = heard.recording.id, as_user(heard.house.host)
        for one, name in ((ada, "Ada Lovelace"), (grace, "Grace Hopper")):
            await name_speaker(
                session,
                principal=host,
                recording_id=recording_id,
                participant_id=one.id,
                name=name,
            )
    async with tools.database.transaction() as session:
        before = await subtitles_version(session, recording_id)
        await leave(session, platform_id=heard.house.platform.id, user_id=ada.user_id)
    async with tools.database.transaction() as session:  # of a tip that was on its way
        room = await session.get_one(Room, heard.room.id)
        late = {"user_id": str(ada.user_id), "name": "Ada Lovelace"}
        await record_event(session, room, TIP_SENT, actor_id=ada.user_id, data=late)
    await drain(tools)
    async with tools.database.transaction() as session:
        cues = await shown_cues(session, recording_id)
        shown = {(cue.name, cue.text) for cue in cues}
        assert shown == {(NOBODY, "hello sea"), ("Grace Hopper", "welcome all")}
        told = await session.scalars(sa.select(RoomEvent.data).where(RoomEvent.kind == TIP_SENT))
        assert [data["name"] for data in told] == [NOBODY]
        for table in (SpeakerName, Rename):
            rows = await session.scalars(sa.select(table.participant_id))
            assert set(rows) == {grace.id}
        assert (await session.get_one(Participant, ada.id)).display_name == NOBODY
        assert await subtitles_version(session, recording_id) > before, "caches read anew"
        assert (await session.get_one(Transcript, recording_id)).version == 4


async def test_who_has_left_is_forgotten_where_they_were_named_after_the_first_job(
    tools: Tools, queue: asyncpg.Connection
) -> None:
    """A request that began before may take longer than the job."""
    async with tools.database.transaction() as session:
        house = await make_house(session)
        room, fan = await house.live_room(), await house.user("Ada Lovelace")
    assert fan.user_id is not None
    async with tools.database.transaction() as session:
        await leave(session, platform_id=house.platform.id, user_id=fan.user_id)
    await drain(tools)
    async with tools.database.transaction() as session:
        await join_room(session, principal=fan, room_id=room.id)
    await forget_lately_left(tools)
    async with tools.database.transaction() as session:
        told = await session.scalars(sa.select(RoomEvent.data).where(RoomEvent.room_id == room.id))
        assert "Ada" not in str(list(told))


async def test_captions_without_a_transcript_are_read_anew(
    tools: Tools, queue: asyncpg.Connection
) -> None:
    async with tools.database.transaction() as session:
        heard = await make_heard(await make_house(session))
        ada, recording_id = await heard.speaker("Ada"), heard.recording.id
        session.add(SubtitleTrack(recording_id=recording_id, language="en", kind=CueKind.LIVE))
        await session.flush()
        cue = {"start_ms": 0, "end_ms": 900, "stored_ms": 1000, "language": "en", "text": "hello"}
        session.add(
            SubtitleCue(
                recording_id=recording_id,
                number=1,
                participant_id=ada.id,
                kind=CueKind.LIVE,
                **cue,
            )
        )
    async with tools.database.transaction() as session:
        await leave(session, platform_id=heard.house.platform.id, user_id=ada.user_id)
    await drain(tools)
    async with tools.database.transaction() as session:
        assert [cue.name for cue in await shown_cues(session, recording_id)] == [NOBODY]
        assert await subtitles_version(session, recording_id) == 2
