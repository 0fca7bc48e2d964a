"""Correcting a transcript: who may, what it does, two at once, and what is refused."""

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.display import NameInvalid
from core.errors import Forbidden, NotFound, Unauthenticated
from core.ids import uuid7
from replay.subtitles import shown_cues
from rooms.models import Role, RoomEvent
from rooms.participation import set_consent
from tests.rooms.conftest import House
from tests.transcripts.edited import SAID, Studio, made
from tests.transcripts.heard import make_heard, spoken
from transcripts.edit_history import history
from transcripts.editing import (
    Correction,
    CueTooLong,
    EditConflict,
    EditUnknown,
    OutsideRecording,
    SpeakerUnknown,
    TooManyWords,
    correct,
)
from transcripts.models import Missing, PatchState
from transcripts.naming import name_speaker
from transcripts.publication import PUBLISHED
from transcripts.reading import TranscriptNotReady


async def test_corrects_a_word(studio: Studio) -> None:
    before = {c.start_ms: c.id for c in await studio.heard.cues()}
    patch = made(await studio.correct(800, 1100, "sea"))
    assert await studio.said() == "what the sea keeps it keeps well"
    assert (patch.replaced, patch.number, patch.state) == ("see", 1, PatchState.APPLIED)
    assert await studio.version() == 2
    cues = await studio.heard.cues()
    assert {c.start_ms: c.id for c in cues} == before
    assert [c.edited for c in cues] == [True, False]
    assert cues[0].words[2] == [800, 1100, "sea", 1.0]
    shown = await shown_cues(studio.session, studio.recording_id)
    assert [" ".join(c.text.split()) for c in shown if c.participant_id == studio.ada.id] == [
        "what the sea keeps it keeps well"
    ]
    kinds = await studio.session.scalars(
        sa.select(RoomEvent.data)
        .where(RoomEvent.room_id == studio.heard.room.id, RoomEvent.kind == PUBLISHED)
        .order_by(RoomEvent.seq)
    )
    assert [data["version"] for data in kinds] == [1, 2]


async def test_the_same_text_is_no_edit(studio: Studio) -> None:
    assert await studio.correct(0, 3000, f"  {SAID}\n") is None
    assert await studio.version() == 1


async def test_text_is_plain_whatever_lines_it_came_in(studio: Studio) -> None:
    assert made(await studio.correct(800, 1100, " the\n sea ")).text == "the sea"


@pytest.mark.parametrize(
    ("by", "of", "refusal"),
    [
        ("Hedy", "Ada", None),
        ("Ada", "Ada", None),
        ("Cora", "Ada", None),
        ("Ada", "Grace", Forbidden),
        ("Lena", "Ada", Forbidden),
    ],
)
async def test_who_may_correct_whom(
    studio: Studio, by: str, of: str, refusal: type[Exception] | None
) -> None:
    await studio.heard.speaker("Cora", Role.COHOST)
    await studio.heard.speaker("Lena", Role.LISTENER)
    who = studio.heard.people[of][1]
    start = 800 if of == "Ada" else 20_000
    if refusal is None:
        assert await studio.correct(start, start + 300, "sea", by=by, of=who)
        return
    with pytest.raises(refusal):
        await studio.correct(start, start + 300, "sea", by=by, of=who)


async def test_strangers_and_what_is_not_there(studio: Studio, house: House) -> None:
    wanted = Correction(
        base_version=1, participant_id=studio.ada.id, start_ms=0, end_ms=300, text="x"
    )
    call: dict[str, Any] = {"recording_id": studio.recording_id, "wanted": wanted}
    with pytest.raises(Unauthenticated):
        await correct(studio.session, principal=house.stranger, **call)
    with pytest.raises(Forbidden):
        await correct(studio.session, principal=house.key, **call)
    with pytest.raises(NotFound):
        await correct(studio.session, principal=house.hosting, recording_id=uuid7(), wanted=wanted)
    lena = await studio.heard.speaker("Lena", Role.LISTENER)
    with pytest.raises(SpeakerUnknown):
        await studio.correct(0, 300, "x", of=lena)
    with pytest.raises(EditUnknown):
        await studio.undo(uuid7())


async def test_there_is_nothing_to_correct_before_it_is_made(house: House) -> None:
    heard = await make_heard(house)
    ada = await heard.speaker("Ada")
    wanted = Correction(base_version=1, participant_id=ada.id, start_ms=0, end_ms=1, text="x")
    with pytest.raises(TranscriptNotReady):
        await correct(
            heard.session,
            principal=house.hosting,
            recording_id=heard.recording.id,
            wanted=wanted,
        )


async def test_two_at_once_on_the_same_words(studio: Studio) -> None:
    await studio.correct(800, 1100, "sea", base=1)
    with pytest.raises(EditConflict) as refused:
        await studio.correct(400, 1500, "the ski keeps", base=1, by="Ada")
    assert refused.value.extra == {"version": 2, "current_text": "the sea keeps"}
    await studio.correct(400, 1500, "the ski keeps", base=2, by="Ada")
    assert await studio.said() == "what the ski keeps it keeps well"


async def test_two_at_once_elsewhere(studio: Studio) -> None:
    await studio.correct(800, 1100, "sea", base=1)
    await studio.correct(2400, 2700, "good", base=1, by="Ada")
    await studio.correct(20_000, 20_300, "Welcome", base=1, by="Grace", of=studio.grace)
    assert await studio.said() == "what the sea keeps it keeps good"
    assert await studio.said(studio.grace) == "Welcome all"


async def test_who_read_it_before_an_undo_is_told(studio: Studio) -> None:
    patch = made(await studio.correct(800, 1100, "sea"))
    await studio.undo(patch.id)
    with pytest.raises(EditConflict):
        await studio.correct(800, 1100, "ski", base=2)


async def test_splits_and_joins_cues(studio: Studio) -> None:
    async def texts() -> list[str]:
        cues = await studio.heard.cues()
        return [" ".join(c.text.split()) for c in cues if c.participant_id == studio.ada.id]

    await studio.correct(0, 2700, None, 0, 1600)
    assert await texts() == ["what the see keeps", "it keeps well"]
    await studio.correct(0, 2700, None, 0)
    assert await texts() == [SAID]


async def test_what_a_person_fills_in_is_missing_no_more(studio: Studio) -> None:
    run = await studio.heard.run({studio.ada: spoken(SAID)}, missing=[(5000, 8000)])
    await studio.heard.publish(run)
    await studio.correct(5000, 8000, "and that is all")
    missing = sa.select(Missing).where(Missing.recording_id == studio.recording_id)
    assert list(await studio.session.scalars(missing)) == []
    assert (await studio.said()).endswith("well and that is all")


async def test_refuses_more_words_than_there_is_time(studio: Studio) -> None:
    with pytest.raises(TooManyWords):
        await studio.correct(800, 1100, "a " * 900)
    assert await studio.version() == 1


@pytest.mark.parametrize("text", ["a " * 12, "一" * 12])
async def test_refuses_more_words_than_a_person_can_say(studio: Studio, text: str) -> None:
    with pytest.raises(TooManyWords):
        await studio.correct(800, 1100, text)


@pytest.mark.parametrize(
    ("start_ms", "end_ms"), [(600_500, 601_001), (1 << 52, (1 << 52) + 300), (-300, 0)]
)
async def test_refuses_what_lies_outside_the_recording(
    studio: Studio, start_ms: int, end_ms: int
) -> None:
    with pytest.raises(OutsideRecording):
        await studio.correct(start_ms, end_ms, "late")
    await studio.correct(600_500, 601_000, "in time")


async def test_a_version_that_nobody_has_read_is_a_conflict(studio: Studio) -> None:
    with pytest.raises(EditConflict):
        await studio.correct(800, 1100, "sea", base=2)


async def test_people_may_not_join_more_than_can_be_read(studio: Studio) -> None:
    long = await studio.heard.run({studio.ada: spoken("and " * 200)})
    await studio.heard.publish(long)
    await studio.correct(0, 30_000, None, 0)
    with pytest.raises(CueTooLong):
        await studio.correct(0, 80_000, None, 0)
    with pytest.raises(CueTooLong):
        await studio.correct(0, 80_000, "or " * 190)
    await studio.correct(0, 80_000, None, 0, 28_000, 56_000)


async def test_refuses_more_words_than_an_edit_holds(studio: Studio) -> None:
    with pytest.raises(TooManyWords):
        await studio.correct(30_000, 150_000, "a " * 601)


async def test_speakers_are_called_as_people_say(studio: Studio) -> None:
    async def name(new: str | None, by: str = "Ada") -> None:
        await name_speaker(
            studio.session,
            principal=studio.caller(by),
            recording_id=studio.recording_id,
            participant_id=studio.ada.id,
            name=new,
        )

    async def shown() -> set[str]:
        return {c.name for c in await shown_cues(studio.session, studio.recording_id)}

    await name(" Ada  Lovelace ")
    assert await shown() == {"Ada Lovelace", "Grace"}
    await name("Countess", by="Hedy")
    await name(None)
    assert await shown() == {"Ada", "Grace"}
    assert await studio.version() == 4
    with pytest.raises(NameInvalid):
        await name("\u202eada")
    with pytest.raises(Forbidden):
        await name("Not me", by="Grace")


async def test_nobody_edits_or_reads_edits_of_who_withdrew(
    studio: Studio, session: AsyncSession
) -> None:
    patch = made(await studio.correct(800, 1100, "sea"))
    await set_consent(
        session,
        principal=studio.caller("Ada"),
        room_id=studio.heard.room.id,
        consent=False,
    )
    with pytest.raises(SpeakerUnknown):
        await studio.correct(800, 1100, "ski")
    with pytest.raises(SpeakerUnknown):
        await studio.undo(patch.id)
    found = await history(
        session, principal=studio.caller("Hedy"), recording_id=studio.recording_id, limit=9
    )
    assert found == []
    shown = await shown_cues(session, studio.recording_id)
    assert {c.participant_id for c in shown} == {studio.grace.id}
