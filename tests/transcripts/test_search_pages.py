"""Filters, orders and pages: complete, without repetition, whatever is common or rare."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from rooms.models import Room
from tests.rooms.conftest import House, make_house
from tests.transcripts.archive import FIRST_LIVE_AT, Archive, make_archive
from transcripts.cursor import Cursor, CursorInvalid, read_cursor
from transcripts.index_models import Stem
from transcripts.indexing import forget_unsaid_stems, index
from transcripts.models import Cue
from transcripts.ranking import Sort
from transcripts.reach import Effort
from transcripts.search import Found, SearchTooSlow

READS = Effort(common=0, enough_matches=4, most_cues=6)
LOOKS_UP = Effort(common=2, enough_matches=4)
LATELY = Effort(common=2, few=0, enough_matches=4)
SURPRISED = Effort(common=2, most_looked_up=3, enough_matches=4, most_cues=6)
"""There is more than the statistics said."""

SURPRISED_LATELY = replace(SURPRISED, few=0)
EFFORTS = [READS, LOOKS_UP, LATELY, SURPRISED, SURPRISED_LATELY]


async def pages(archive: Archive, text: str, **wanted: Any) -> list[Found]:
    found = [await archive.find(text, **wanted)]
    while found[-1].next is not None:
        found.append(await archive.find(text, after=read_cursor(found[-1].next), **wanted))
    return found


def ids(found: Sequence[Found]) -> list[UUID]:
    return [one.recording_id for page in found for one in page.recordings]


@example(boats=[1, 1, 1, 1], limit=1, effort=READS)
@example(boats=[1, 1, 1, 1, 1, 1], limit=1, effort=SURPRISED)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    boats=st.lists(st.integers(0, 4), min_size=1, max_size=9),
    limit=st.integers(1, 4),
    effort=st.sampled_from([*EFFORTS, Effort()]),
)
async def test_pages_are_complete_and_repeat_nothing(
    archive: Archive, boats: list[int], limit: int, effort: Effort
) -> None:
    archive.made.clear()
    async with archive.session.begin_nested() as savepoint:
        for count in boats:
            await archive.recording(*["a boat left"] * count, "and nothing else")
        await archive.analyze()
        with_boats = [one for one, n in zip(archive.made, boats, strict=False) if n]
        by_date = await pages(archive, "boat", sort=Sort.DATE, limit=limit, effort=effort)
        assert ids(by_date) == with_boats[::-1]
        by_score = await pages(archive, "boat", limit=limit, effort=effort)
        total = by_score[0].total
        assert total is not None
        assert len(ids(by_score)) == len(set(ids(by_score))) == total.recordings
        assert total.sampled or set(ids(by_score)) == set(with_boats)
        assert total.matches >= effort.enough_matches or not total.sampled
        assert all(page.total is None for page in by_score[1:])
        await savepoint.rollback()


@pytest.mark.parametrize("effort", EFFORTS)
async def test_says_when_only_the_newest_were_ranked(archive: Archive, effort: Effort) -> None:
    for _ in range(6):
        await archive.recording("a boat left", "another boat")
    await archive.analyze()
    found = await archive.find("boat", effort=effort)
    assert found.total is not None
    assert found.total.sampled
    newest = archive.made[: -found.total.recordings - 1 : -1]
    assert {one.recording_id for one in found.recordings} == set(newest)
    assert all(one.matches == 2 for one in found.recordings)


async def test_the_sample_is_taken_of_what_may_be_heard(archive: Archive) -> None:
    """However much hidden there is before it."""
    heard = await archive.recording("a boat left")
    for _ in range(8):
        await archive.recording("a boat left", visibility="unlisted")
    await archive.analyze()
    for effort in EFFORTS:
        found = await archive.find("boat", effort=effort)
        assert ids([found]) == [heard.recording_id]
        assert found.total is not None
        assert not found.total.sampled


async def test_what_was_said_long_ago_is_found_however_little_is_read(archive: Archive) -> None:
    old = await archive.recording("a boat left")
    for _ in range(3):
        await archive.recording("nothing else")
    found = await archive.find("boat", effort=Effort(common=0, most_cues=1))
    assert ids([found]) == [old.recording_id]
    assert found.total is not None
    assert not found.total.sampled


async def test_best_first(archive: Archive) -> None:
    once = await archive.recording("a boat left early that morning")
    often = await archive.recording("a boat", "the boat", "boats and a boat")
    found = await archive.find("boat")
    assert ids([found]) == [often.recording_id, once.recording_id]
    best = found.recordings[0]
    assert best.matches == 3
    assert best.moments[0].start_ms == 4 * 400
    assert len((await archive.find("boat", limit=1)).recordings) == 1


async def test_filters(archive: Archive, house: House) -> None:
    english = await archive.recording("a boat", topics=["sea", "wood"])
    french = await archive.recording("un boat", language="fr")
    someone = await house.user("Somebody")
    speaks = await archive.room(host_id=someone.user_id)
    await archive.say(speaks, await archive.speaker(speaks, "Eve", someone.user_id), ["my boat"])
    await archive.say(speaks, await archive.speaker(speaks, "Ada"), ["a boat"], start_ms=90_000)
    hour = timedelta(hours=1)
    expected: list[tuple[dict[str, Any], set[Room]]] = [
        ({}, {english, french, speaks}),
        ({"topic": "sea"}, {english}),
        ({"topic": "Sea"}, set()),
        ({"language": "fr"}, {french}),
        ({"language": "fr-CA"}, {french}),
        ({"language": "nl"}, set()),
        ({"host_id": someone.user_id}, {speaks}),
        ({"speaker_id": someone.user_id}, {speaks}),
        ({"room_id": french.id}, {french}),
        ({"recording_id": french.recording_id}, {french}),
        ({"since": FIRST_LIVE_AT + hour}, {french, speaks}),
        ({"until": FIRST_LIVE_AT + hour}, {english}),
        ({"since": FIRST_LIVE_AT + hour, "until": FIRST_LIVE_AT + 2 * hour}, {french}),
    ]
    for effort in EFFORTS:
        for filters, rooms in expected:
            found = await archive.find("boat", effort=effort, **filters)
            assert {one.room.id for one in found.recordings} == {one.id for one in rooms}, filters
    spoken = await archive.find("boat", speaker_id=someone.user_id)
    assert [m.speaker for one in spoken.recordings for m in one.moments] == ["Eve"]


async def test_an_edit_and_a_deletion_show_at_once(archive: Archive) -> None:
    room = await archive.room()
    first, second = await archive.say(
        room, await archive.speaker(room), ["a boat left", "a house stood"]
    )
    first.text, first.language = "a horse left", "fr"
    await archive.publish(room)
    assert await archive.lines("boat") == set()
    assert await archive.lines("horse", language="fr") == {"a [horse] left"}
    await archive.session.delete(second)
    await archive.session.flush()
    assert await archive.lines("house") == set()
    await archive.publish(room)
    await archive.session.execute(sa.delete(Cue))
    await archive.publish(room)
    assert (await archive.find("horse")).recordings == []


async def test_indexing_again_writes_nothing(archive: Archive, session: AsyncSession) -> None:
    room = await archive.recording("a boat left", "a house stood")
    versions = sa.text("select cue_id, ctid, xmin from transcript_searched_cue order by 1")
    before = (await session.execute(versions)).all()
    await archive.publish(room)
    assert (await session.execute(versions)).all() == before


async def test_words_that_nobody_said_any_more_are_forgotten(
    archive: Archive, session: AsyncSession
) -> None:
    await archive.recording("a boat left")
    gone = await archive.recording("a lighthouse")
    await session.execute(sa.delete(Cue).where(Cue.recording_id == gone.recording_id))
    assert await forget_unsaid_stems(session, parts=1) >= 1
    stems = set(await session.scalars(sa.select(Stem.stem)))
    assert {"boat", "left"} <= stems
    assert "lighthous" not in stems
    assert await forget_unsaid_stems(session, parts=1) == 0


async def test_words_of_what_is_being_published_are_not_forgotten(database: Database) -> None:
    async with database.transaction() as session:
        archive = await make_archive(await make_house(session))
        room = await archive.recording("an aardvark")
        await session.execute(_SAY, {"text": "an animal", "of": room.recording_id})
        await archive.publish(room)
    async with database.transaction() as publishing, database.transaction() as cleaning:
        await publishing.execute(_SAY, {"text": "an aardvark", "of": room.recording_id})
        await index(publishing, archive.made[0])
        await forget_unsaid_stems(cleaning, parts=1)
        await cleaning.commit()
    async with database.transaction() as session:
        stems = set(await session.scalars(sa.select(Stem.stem)))
        assert "aardvark" in stems
        await forget_unsaid_stems(session, parts=1)
        assert "anim" not in set(await session.scalars(sa.select(Stem.stem)))


_SAY = sa.text("update transcript_cue set text = :text where recording_id = :of")


async def test_a_cursor_belongs_to_its_order(archive: Archive) -> None:
    for _ in range(2):
        await archive.recording("a boat")
    found = await archive.find("boat", limit=1)
    assert found.next is not None
    with pytest.raises(CursorInvalid):
        await archive.find("boat", sort=Sort.DATE, after=read_cursor(found.next))


@given(st.text("AWJleyfQ09-_=+ {}[],\0é", max_size=60))
def test_whatever_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(CursorInvalid):
        read_cursor(text)


@given(
    st.uuids(),
    st.one_of(st.datetimes(timezones=st.just(FIRST_LIVE_AT.tzinfo)), st.floats(0, 1e9)),
    st.none() | st.datetimes(timezones=st.just(FIRST_LIVE_AT.tzinfo)),
)
def test_cursors_come_back_exactly(recording_id: UUID, by: Any, oldest: Any) -> None:
    score = by if isinstance(by, float) else None
    cursor = Cursor(recording_id, None if score is not None else by, score, oldest)
    assert read_cursor(cursor.text()) == cursor


@pytest.mark.parametrize("effort", [Effort(timeout_ms=20), Effort(deadline_ms=20)])
async def test_what_takes_too_long_says_so(database: Database, effort: Effort) -> None:
    """The table is locked by somebody else; the next search works again."""
    async with database.transaction() as session, database.transaction() as locking:
        archive = await make_archive(await make_house(session))
        await locking.execute(sa.text("lock table transcript_stem"))
        with pytest.raises(SearchTooSlow):
            await archive.find("boat", effort=effort)
        await session.rollback()
