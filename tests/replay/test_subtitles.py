"""Rows of subtitles: numbered once, fenced, replaced as a whole, silent about who withdrew."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from ingest.folders import Folders
from ingest.manifest import Opened
from ingest.models import RecordingStatus
from ingest.rows import Fenced
from replay.subtitles import (
    CueKind,
    NewCue,
    SubtitleTrack,
    add_live_cues,
    register,
    replace_cues,
    shown_cues,
)
from rooms.models import Participant, RoomState
from tests.replay.spools import LIVE_AT_US, Spool
from tests.replay.stored_rooms import make_room, make_speaker, store_recording


@dataclass
class Stage:
    """A live recording with two speakers who consent."""

    opened: Opened
    ada: Participant
    ben: Participant

    @property
    def recording_id(self) -> UUID:
        return UUID(self.opened.recording_id)


@pytest.fixture
async def stage(session: AsyncSession, tmp_path: Path) -> Stage:
    spool = Spool(Folders(tmp_path))
    room = await make_room(session, recording_id=spool.recording_id, state=RoomState.LIVE)
    await store_recording(session, room, spool, status=RecordingStatus.LIVE)
    ada, ben = await make_speaker(session, room, "Ada"), await make_speaker(session, room, "Ben")
    ada.consented_at = ben.consented_at = datetime.now(UTC)
    opened = Opened(
        recording_id=str(spool.recording_id),
        room_id=str(room.id),
        platform_id=str(room.platform_id),
        epoch=1,
        revision=1,
        live_at_us=LIVE_AT_US,
    )
    return Stage(opened, ada, ben)


def cue(who: Participant, start_ms: int, text: str) -> NewCue:
    return NewCue(who.id, start_ms, start_ms + 1000, "en", text)


async def texts(session: AsyncSession, stage: Stage, *, after: int = 0) -> list[str]:
    return [c.text for c in await shown_cues(session, stage.recording_id, after=after)]


async def test_live_cues_are_numbered_in_the_order_in_which_they_come(
    session: AsyncSession, stage: Stage
) -> None:
    await register(session, stage.opened, "en")
    await add_live_cues(session, stage.opened, [cue(stage.ada, 2000, "b"), cue(stage.ben, 0, "a")])
    await add_live_cues(session, stage.opened, [cue(stage.ada, 4000, "c")])
    found = await shown_cues(session, stage.recording_id)
    assert [(c.number, c.name, c.text) for c in found] == [
        (1, "Ada", "b"),
        (2, "Ben", "a"),
        (3, "Ada", "c"),
    ]
    assert all(c.stored_ms is not None and c.stored_ms > 0 for c in found)
    assert await texts(session, stage, after=2) == ["c"]


async def test_registering_again_keeps_what_is_there(session: AsyncSession, stage: Stage) -> None:
    await register(session, stage.opened, "en")
    await add_live_cues(session, stage.opened, [cue(stage.ada, 0, "a")])
    await register(session, stage.opened, "it")
    track = await session.get(SubtitleTrack, stage.recording_id)
    assert track is not None
    assert (track.language, track.last_number) == ("en", 1)


async def test_a_worker_that_lost_the_room_stores_nothing(
    session: AsyncSession, stage: Stage
) -> None:
    await register(session, stage.opened, "en")
    late = replace(stage.opened, epoch=0)
    with pytest.raises(Fenced):
        await add_live_cues(session, late, [cue(stage.ada, 0, "a")])
    with pytest.raises(Fenced):
        await register(session, late, "en")
    assert await texts(session, stage) == []


async def test_without_consent_nothing_is_stored_and_nothing_is_shown(
    session: AsyncSession, stage: Stage
) -> None:
    await register(session, stage.opened, "en")
    await add_live_cues(session, stage.opened, [cue(stage.ada, 0, "a"), cue(stage.ben, 0, "b")])
    stage.ada.consented_at = None
    await session.flush()
    assert await texts(session, stage) == ["b"]
    said = [cue(stage.ada, 5000, "c"), cue(stage.ben, 5000, "d")]
    stored = await add_live_cues(session, stage.opened, said)
    assert [c.text for c in stored] == ["d"]
    stage.ada.consented_at = datetime.now(UTC)
    await session.flush()
    assert await texts(session, stage) == ["a", "b", "d"]


async def test_final_cues_take_the_place_of_all_live_ones(
    session: AsyncSession, stage: Stage
) -> None:
    await register(session, stage.opened, "en")
    await add_live_cues(session, stage.opened, [cue(stage.ada, 0, "live"), cue(stage.ben, 0, "x")])
    final = replace(cue(stage.ada, 0, "Final."), name="Ada Lovelace")
    await replace_cues(session, stage.recording_id, [final])
    found = await shown_cues(session, stage.recording_id)
    assert [(c.number, c.name, c.kind, c.stored_ms, c.text) for c in found] == [
        (3, "Ada Lovelace", CueKind.FINAL, None, "Final.")
    ]
    assert await add_live_cues(session, stage.opened, [cue(stage.ben, 9000, "late")]) == []
    await replace_cues(session, stage.recording_id, [cue(stage.ben, 0, "Again.")])
    assert await texts(session, stage) == ["Again."]
    track = await session.get(SubtitleTrack, stage.recording_id, populate_existing=True)
    assert track is not None
    assert (track.kind, track.version, track.last_number) == (CueKind.FINAL, 3, 4)


async def test_a_recording_without_captions_gets_its_final_cues(
    session: AsyncSession, stage: Stage
) -> None:
    await replace_cues(session, stage.recording_id, [cue(stage.ada, 0, "Final.")])
    assert await texts(session, stage) == ["Final."]


async def test_final_cues_that_stay_keep_their_numbers(session: AsyncSession, stage: Stage) -> None:
    first, second, third = (cue(stage.ada, at, "Same.") for at in (0, 2000, 4000))
    await replace_cues(session, stage.recording_id, [first, second, third])
    await replace_cues(session, stage.recording_id, [first, replace(second, text="New."), third])
    found = await shown_cues(session, stage.recording_id)
    assert [(c.number, c.text) for c in found] == [(1, "Same."), (3, "Same."), (4, "New.")]
