"""Words of who withdrew their consent: hidden at once, and erased when it is left at that."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from replay.subtitles import SubtitleCue, shown_cues
from rooms.models import Participant, RoomEvent
from rooms.participation import set_consent
from tests.factories import as_user
from tests.rooms.conftest import House
from tests.transcripts.heard import Heard, make_heard, spoken
from transcripts.editing import Correction, correct
from transcripts.erasure import KEPT_AFTER_WITHDRAWAL, erase_words, withdrawn_speakers
from transcripts.index_models import SearchedCue
from transcripts.models import Cue, Missing, Patch, Window

HOLDS_WORDS = (Cue, Missing, Patch, SubtitleCue, SearchedCue)


@pytest.fixture
async def heard(house: House) -> Heard:
    heard = await make_heard(house)
    ada, grace = await heard.speaker("Ada"), await heard.speaker("Grace")
    words = {ada: spoken("hello sea"), grace: spoken("welcome all", 20_000)}
    await heard.publish(await heard.run(words, missing=[(5000, 8000)]))
    wanted = Correction(base_version=1, participant_id=ada.id, start_ms=0, end_ms=300, text="Hello")
    await correct(
        heard.session,
        principal=as_user(house.host),
        recording_id=heard.recording.id,
        wanted=wanted,
    )
    return heard


async def consent(heard: Heard, given: bool) -> None:
    caller = as_user(heard.people["Ada"][0])
    await set_consent(heard.session, principal=caller, room_id=heard.room.id, consent=given)


async def grow_old(session: AsyncSession) -> None:
    age = KEPT_AFTER_WITHDRAWAL + timedelta(minutes=1)
    await session.execute(sa.update(RoomEvent).values(at=RoomEvent.at - age))


async def erase_all(session: AsyncSession) -> int:
    """Of how many speakers."""
    due = await withdrawn_speakers(session)
    return sum([await erase_words(session, *one) for one in due])


async def held(session: AsyncSession, who: Participant) -> int:
    """Rows with words of a speaker."""
    counts = [
        await session.scalar(sa.select(sa.func.count()).where(table.participant_id == who.id))
        for table in HOLDS_WORDS
    ]
    words = sa.select(sa.func.coalesce(sa.func.sum(sa.func.jsonb_array_length(Window.words)), 0))
    return sum(c or 0 for c in counts) + (
        await session.scalar(words.where(Window.participant_id == who.id)) or 0
    )


async def test_they_come_back_with_the_consent(heard: Heard, session: AsyncSession) -> None:
    ada = heard.people["Ada"][1]
    before = await held(session, ada)
    await consent(heard, given=False)
    assert {c.participant_id for c in await shown_cues(session, heard.recording.id)} == {
        heard.people["Grace"][1].id
    }
    assert await erase_all(session) == 0
    await consent(heard, given=True)
    await grow_old(session)
    assert await erase_all(session) == 0
    assert await held(session, ada) == before > 0


async def test_they_are_erased_for_good(heard: Heard, session: AsyncSession) -> None:
    ada, grace = heard.people["Ada"][1], heard.people["Grace"][1]
    others = await held(session, grace)
    await consent(heard, given=False)
    await grow_old(session)
    assert await erase_all(session) == 1
    assert await held(session, ada) == 0
    assert await held(session, grace) == others
    assert await erase_all(session) == 0


async def test_who_consents_again_may_be_transcribed_again(
    heard: Heard, session: AsyncSession
) -> None:
    ada = heard.people["Ada"][1]
    await consent(heard, given=False)
    await grow_old(session)
    await erase_all(session)
    await consent(heard, given=True)
    await heard.publish(await heard.run({ada: spoken("hello sea")}))
    shown = await shown_cues(session, heard.recording.id)
    assert [c.text for c in shown if c.participant_id == ada.id] == ["hello sea"]


async def test_who_consents_while_others_are_erased_is_left_alone(
    heard: Heard, session: AsyncSession
) -> None:
    ada = heard.people["Ada"][1]
    before = await held(session, ada)
    await consent(heard, given=False)
    await grow_old(session)
    assert await withdrawn_speakers(session) == [(heard.room.id, ada.id)]
    await consent(heard, given=True)
    assert not await erase_words(session, heard.room.id, ada.id)
    assert await held(session, ada) == before
