"""Edits that stand: undone, listed, counted, and against what another model heard."""

from typing import Any

import pytest
import sqlalchemy as sa

from tests.transcripts.edited import SAID, Studio, made
from tests.transcripts.heard import spoken
from transcripts.edit_history import history
from transcripts.editing import (
    MOST_MADE,
    MOST_STANDING,
    EditedSince,
    NoConflict,
    TooManyEdits,
    keep,
)
from transcripts.models import Patch, PatchState


async def test_undo_leaves_no_trace_but_in_the_history(studio: Studio) -> None:
    before = [(c.start_ms, c.text, c.words, c.edited) for c in await studio.heard.cues()]
    patch = made(await studio.correct(800, 1100, "deep blue sea", by="Ada"))
    await studio.undo(patch.id)
    await studio.undo(patch.id)
    after = [(c.start_ms, c.text, c.words, c.edited) for c in await studio.heard.cues()]
    assert after == before
    assert await studio.version() == 3
    found = await history(
        studio.session, principal=studio.caller("Hedy"), recording_id=studio.recording_id, limit=9
    )
    (one,) = found
    assert (one.patch.state, one.author, one.withdrawn_by) == (PatchState.WITHDRAWN, "Ada", "Host")


async def test_the_later_edit_is_undone_first(studio: Studio) -> None:
    first = made(await studio.correct(800, 1100, "sea"))
    second = made(await studio.correct(400, 1100, "The sea"))
    with pytest.raises(EditedSince):
        await studio.undo(first.id)
    await studio.undo(second.id)
    await studio.undo(first.id)
    assert await studio.said() == SAID


async def test_a_speaker_sees_the_edits_of_the_own_words(studio: Studio) -> None:
    await studio.correct(800, 1100, "sea")
    await studio.correct(20_000, 20_300, "Welcome", of=studio.grace)

    async def seen(by: str, **page: Any) -> list[int]:
        found = await history(
            studio.session,
            principal=studio.caller(by),
            recording_id=studio.recording_id,
            limit=9,
            **page,
        )
        return [one.patch.number for one in found]

    assert await seen("Hedy") == [2, 1]
    assert await seen("Hedy", before=2) == [1]
    assert await seen("Ada") == [1]
    assert await seen("Grace") == [2]


async def add_edits(studio: Studio, count: int, state: PatchState) -> None:
    """Of Ada's words; each puts what stands there."""
    numbers = sa.func.generate_series(1, count).table_valued("n").render_derived()
    patch, n = await studio.correct(800, 1100, "sea", of=studio.ada), numbers.c.n
    assert patch is not None
    same: dict[str, Any] = {c.name: c for c in Patch.__table__.c}
    same |= {"id": sa.func.gen_random_uuid(), "number": n + patch.number}
    same["state"] = sa.literal(state.value)
    rows = sa.select(*same.values()).select_from(Patch).join(numbers, sa.true())
    made_once = rows.where(Patch.id == patch.id)
    await studio.session.execute(sa.insert(Patch).from_select(list(same), made_once))


@pytest.mark.parametrize(
    ("count", "state"),
    [(MOST_STANDING - 1, PatchState.APPLIED), (MOST_MADE - 1, PatchState.WITHDRAWN)],
)
async def test_a_speakers_words_are_corrected_so_often_and_no_more(
    studio: Studio, count: int, state: PatchState
) -> None:
    """Else each edit would take longer than the one before; others have edits of their own."""
    await add_edits(studio, count, state)
    with pytest.raises(TooManyEdits):
        await studio.correct(0, 300, "That")
    assert await studio.correct(20_000, 20_300, "Welcome", of=studio.grace)


async def test_edits_survive_another_model(studio: Studio) -> None:
    await studio.correct(800, 1100, "sea")
    await studio.correct(2400, 2700, "good")
    better = spoken("What the sea keeps, it keeps well.", 40)
    transcript = await studio.heard.publish(await studio.heard.run({studio.ada: better}))
    assert transcript.run_version == transcript.version == 4
    assert await studio.said() == "What the sea keeps, it keeps good"
    patches = await studio.session.scalars(
        sa.select(Patch).where(Patch.recording_id == studio.recording_id).order_by(Patch.number)
    )
    assert [p.state for p in patches] == [PatchState.APPLIED, PatchState.APPLIED]


async def _in_conflict(studio: Studio) -> Patch:
    patch = made(await studio.correct(800, 1100, "sea", by="Ada"))
    other = await studio.heard.run({studio.ada: spoken("what the ski keeps it keeps well")})
    await studio.heard.publish(other)
    assert patch.state is PatchState.CONFLICT
    return patch


async def test_another_model_that_disagrees_leaves_it_to_people(studio: Studio) -> None:
    patch = await _in_conflict(studio)
    assert "ski" in await studio.said()
    (one,) = await history(
        studio.session,
        principal=studio.caller("Ada"),
        recording_id=studio.recording_id,
        state=PatchState.CONFLICT,
        limit=9,
    )
    assert (one.patch.id, one.patch.replaced, one.current) == (patch.id, "see", "ski")


async def test_a_person_keeps_the_edit(studio: Studio) -> None:
    patch = await _in_conflict(studio)
    call: dict[str, Any] = {"recording_id": studio.recording_id, "patch_id": patch.id}
    _, again = await keep(studio.session, principal=studio.caller("Hedy"), **call)
    assert "sea" in await studio.said()
    assert (again.replaced, again.state) == ("ski", PatchState.APPLIED)
    assert patch.state is PatchState.WITHDRAWN
    with pytest.raises(NoConflict):
        await keep(studio.session, principal=studio.caller("Hedy"), **call)


async def test_a_person_takes_what_the_new_model_heard(studio: Studio) -> None:
    patch = await _in_conflict(studio)
    await studio.undo(patch.id)
    assert "ski" in await studio.said()
    assert patch.state is PatchState.WITHDRAWN
