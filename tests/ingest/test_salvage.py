"""A worker is lost, another goes on, the first comes back: nothing that had arrived is missing."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from core.db import Database
from core.storage.folder import FolderStore
from ingest.marks import RoomLeft
from ingest.models import GapCause
from ingest.opus import RATE
from replay.chain import chain_faults
from replay.holdings import load_holding, read_manifest
from rooms.models import Room, RoomState
from tests.ingest.journals import Voice, clicks
from tests.ingest.listening import onset, rms
from tests.ingest.machines import Site, site

AGE = 12.0
"""Seconds after go-live at which the second worker takes over."""

FIRST = (1.0, 4.5, 7.5, 8.5)
"""When both speak to the first worker; what came until 5 s is stored when it is lost at 9 s."""

SECOND = (1.5, 3.0)
"""When one of them speaks to the second worker, after it took over."""


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "objects")


async def end_room(one: Site, seconds: float) -> None:
    async with one.database.transaction() as session:
        await session.execute(
            sa.update(Room)
            .where(Room.recording_id == one.recording_id)
            .values(
                state=RoomState.ENDED, duration_ms=round(seconds * 1000), ended_at=sa.func.now()
            )
        )


async def lost_and_continued(
    database: Database, store: FolderStore, root: Path
) -> tuple[Site, float]:
    """The first speaker is heard by both workers, the second by the first one alone.

    With the second at which the second worker took over.
    """
    one = await site(database, store, root, age_s=AGE)
    a = await one.machine()
    a.maker.record(0, on=True)
    for number, who in enumerate(one.speakers):
        a.maker.speak(Voice(who, clicks(9, FIRST), seed=number))
    a.receive(first=0, last=5)
    a.package()
    await a.store(database, store)
    a.receive(first=5.0, last=9)
    a.package()  # made durable, never stored
    await one.lose(a)

    b = await one.machine()
    placement = await one.take_over(b, a)
    assert placement.epoch == 2
    began = placement.began_ms / 1000
    b.maker.record(0, on=True, late=began + 0.01)
    shifted = [moment - 1 for moment in SECOND]
    b.maker.speak(Voice(one.speakers[0], clicks(3.5, shifted), start=began + 1))
    b.maker.end(began + 5)
    b.receive(first=began, last=began + 6)
    b.package()
    await end_room(one, began + 5)
    await b.store(database, store)
    return one, began


async def test_the_second_worker_goes_on_where_the_rows_end(
    database: Database, tmp_path: Path, store: FolderStore
) -> None:
    one, began = await lost_and_continued(database, store, tmp_path)
    found = await one.recorded()
    found.check()
    assert {s.epoch for s in found.segments["mix"]} == {1, 2}
    mix = await found.hear(store, "mix")
    assert abs(mix.end - (began + 5) * RATE) <= 1024
    for moment in (1.0, *(began + moment for moment in SECOND)):
        assert onset(mix, moment) == pytest.approx(moment + 0.025, abs=0.008)
    assert rms(mix.signal[round(5.5 * RATE) : round((began + 1) * RATE)]) < 0.01
    first, second = (f"track-{who}" for who in one.speakers)
    assert found.segments.keys() == {"mix", first}
    assert second not in found.init_keys
    track = await found.hear(store, first)
    assert track.end >= (began + 4) * RATE
    everybody, *single = sorted(found.gaps, key=lambda g: g.participant_id is not None)
    assert {g.cause for g in found.gaps} == {GapCause.WORKER_LOST}
    assert everybody.room_start_ms < 5000
    assert 0 <= everybody.room_end_ms - (began + 1) * 1000 <= 100
    assert {str(g.participant_id) for g in single} == set(one.speakers)
    assert all(g.room_start_ms == 0 for g in single)
    assert sorted(g.room_end_ms for g in single) == pytest.approx(
        [began * 1000, everybody.room_end_ms]
    )


async def test_what_was_not_stored_is_salvaged(
    database: Database, tmp_path: Path, store: FolderStore
) -> None:
    one, began = await lost_and_continued(database, store, tmp_path)
    spoken = (*FIRST, *(began + moment for moment in SECOND))
    a = one.machines[0]
    one.fence(a, 1)
    assert not a.folders.held()
    assert await one.salvage(a, 1)
    assert not a.folders.fenced(1).held()

    found = await one.recorded()
    found.check()
    assert found.revision == 2
    for rendition in ("mix", f"track-{one.speakers[0]}"):
        heard = await found.hear(store, rendition)
        for moment in spoken:
            assert onset(heard, moment) == pytest.approx(moment + 0.025, abs=0.008)
    second = await found.hear(store, f"track-{one.speakers[1]}")
    for moment in FIRST:
        assert onset(second, moment) == pytest.approx(moment + 0.025, abs=0.008)
    assert {g.cause for g in found.gaps} == {GapCause.WORKER_LOST}
    assert min(g.room_start_ms for g in found.gaps) == pytest.approx(9000, abs=50)
    assert max(g.room_end_ms for g in found.gaps) <= (began + 1.1) * 1000
    assert (await one.epoch(1)).complete_until_ms == pytest.approx(9000, abs=50)

    again = await one.recorded()
    assert await one.salvage(a, 1), "there is nothing left to do"
    assert [s.sha256 for s in again.segments["mix"]] == [s.sha256 for s in found.segments["mix"]]


async def test_manifest_and_rows_agree_before_and_after(
    database: Database, tmp_path: Path, store: FolderStore
) -> None:
    """The chain of hashes runs through both workers, and through what was salvaged."""
    one, _ = await lost_and_continued(database, store, tmp_path)

    async def faults() -> list[str]:
        async with database.transaction() as session:
            holding = await load_holding(session, one.recording_id)
        lines = await read_manifest(store, holding)
        return [fault.text for fault in chain_faults(holding, lines)]

    assert await faults() == []
    one.fence(one.machines[0], 1)
    await one.salvage(one.machines[0], 1)
    assert await faults() == []


async def test_a_room_that_is_let_go_loses_nothing(
    database: Database, tmp_path: Path, store: FolderStore
) -> None:
    one = await site(database, store, tmp_path, age_s=AGE)
    a = await one.machine()
    a.maker.record(0, on=True)
    a.maker.speak(Voice(one.speakers[0], clicks(9, FIRST)))
    a.maker.mark(9, RoomLeft(9000))
    a.receive(first=0, last=10)
    a.package()
    await a.store(database, store)
    assert not a.folders.held(), "the edge beside it must not go on with it"
    assert (await one.epoch(1)).complete_until_ms == 9000

    b = await one.machine()
    placement = await one.take_over(b)
    began = placement.began_ms / 1000
    b.maker.record(0, on=True, late=began + 0.01)
    shifted = [moment - 1 for moment in SECOND]
    b.maker.speak(Voice(one.speakers[0], clicks(3.5, shifted), start=began + 1))
    b.maker.end(began + 5)
    b.receive(first=began, last=began + 6)
    b.package()
    await end_room(one, began + 5)
    await b.store(database, store)

    found = await one.recorded()
    found.check()
    for rendition in ("mix", f"track-{one.speakers[0]}"):
        heard = await found.hear(store, rendition)
        for moment in (*FIRST, *(began + moment for moment in SECOND)):
            assert onset(heard, moment) == pytest.approx(moment + 0.025, abs=0.008)
    assert min(g.room_start_ms for g in found.gaps) >= 9000 - 25
