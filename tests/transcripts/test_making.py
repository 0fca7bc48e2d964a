"""A run from a stored recording to what is published, and how it goes on after a kill."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa

from core.db import Database
from core.storage.folder import FolderStore
from demo.script import load_script
from ingest.models import Recording
from rooms.models import RoomEvent
from tests.transcripts.fakes import ScriptedTranscriber, scripted_engine
from tests.transcripts.recordings import Recorded, record_script
from tests.workers.conftest import new_database
from transcripts import runs
from transcripts.engines import Engine
from transcripts.making import make
from transcripts.models import Cue, Run, RunStatus, RunTrack, TrackLanguage, Transcript, Window
from transcripts.reading import missing_of
from transcripts.transcriber import Decoding, Heard, Model, Pcm, TranscriberUnavailable

UNTIL_S = 30.0


@dataclass
class Studio:
    """A recording of the demo's first half minute; each `run` is another over the same sound."""

    database: Database
    store: FolderStore
    scratch: Path
    made: Recorded

    async def request(self) -> UUID:
        async with self.database.transaction() as session:
            recording = await session.merge(self.made.recording)
            run = Run(recording_id=recording.id, revision=recording.revision, model="default")
            session.add(run)
        return run.id

    async def make(self, run_id: UUID, engine: Engine | None = None) -> bool:
        engine = engine or scripted_engine()
        return await make(self.database, self.store, engine, run_id, scratch=self.scratch)

    async def words(self, run_id: UUID) -> list[tuple[UUID, int, object, object, object]]:
        async with self.database.transaction() as session:
            rows = await session.scalars(
                sa.select(Window)
                .where(Window.run_id == run_id)
                .order_by(Window.participant_id, Window.number)
            )
            return [(w.participant_id, w.number, w.regions, w.words, w.missing) for w in rows]

    async def run(self, run_id: UUID) -> Run:
        async with self.database.transaction() as session:
            return await session.get_one(Run, run_id)


@pytest.fixture(scope="module")
async def studio(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Studio]:
    """Over a database of its own: runs commit."""
    folder = tmp_path_factory.mktemp("studio")
    store = FolderStore(folder / "objects")
    async with new_database(postgres_url) as url:
        database = Database(url)
        async with database.transaction() as session:
            made = await record_script(session, store, load_script(), until_s=UNTIL_S)
        yield Studio(database, store, folder / "scratch", made)
        await database.close()


class Dies(ScriptedTranscriber):
    """Its process ends at the question number `after` + 1, as if it were killed there."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    async def hear(self, pcm: Pcm, decoding: Decoding) -> Heard:
        self._count()
        return await super().hear(pcm, decoding)

    async def languages(self, pcm: Pcm) -> list[tuple[str, float]]:
        self._count()
        return await super().languages(pcm)

    def _count(self) -> None:
        if not self.left:
            raise TranscriberUnavailable
        self.left -= 1


async def test_a_run_publishes_what_each_speaker_said(studio: Studio) -> None:
    run_id = await studio.request()
    assert (await studio.run(run_id)).status is RunStatus.WAITING
    assert await studio.make(run_id)
    run = await studio.run(run_id)
    assert run.status is RunStatus.DONE
    assert run.model == "scripted"
    assert run.model_digest == ScriptedTranscriber().model.digest
    assert run.started_at is not None
    assert run.finished_at is not None
    async with studio.database.transaction() as session:
        head = await session.get_one(Transcript, studio.made.id)
        cues = list(await session.scalars(sa.select(Cue).where(Cue.recording_id == studio.made.id)))
        event = await session.scalar(
            sa.select(RoomEvent)
            .where(RoomEvent.room_id == studio.made.room.id)
            .order_by(RoomEvent.seq.desc())
            .limit(1)
        )
    assert head.run_id == run_id
    assert event is not None
    assert event.kind == "transcript.published"
    spoke = {p.id for p in studio.made.participants.values()}
    assert {cue.participant_id for cue in cues} == spoke
    script = load_script()
    for name, participant in studio.made.participants.items():
        first = min(t.start_s for t in script.turns if t.speaker == name) * 1000
        start = min(cue.start_ms for cue in cues if cue.participant_id == participant.id)
        assert start == pytest.approx(first, abs=500)


async def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_been(studio: Studio) -> None:
    undisturbed = await studio.request()
    await studio.make(undisturbed)
    for after in range(6):
        killed = await studio.request()
        with pytest.raises(TranscriberUnavailable):
            await studio.make(killed, scripted_engine(Dies(after)))
        before = await studio.words(killed)
        again = ScriptedTranscriber()
        assert await studio.make(killed, scripted_engine(again))
        assert await studio.words(killed) == await studio.words(undisturbed)
        decoded = [row for row in before if row[3] is not None]
        assert len([d for d in again.asked if d.seed % 1024 == 0]) == 3 - len(decoded)


async def test_two_workers_over_one_run_publish_it_once(studio: Studio) -> None:
    """As when one that had stalled comes back: the other has taken its job over."""
    run_id = await studio.request()
    results: list[bool] = []

    class Overtaken(ScriptedTranscriber):
        async def hear(self, pcm: Pcm, decoding: Decoding) -> Heard:
            if not results:
                results.append(await studio.make(run_id))
            return await super().hear(pcm, decoding)

    version = await version_of(studio)
    assert not await studio.make(run_id, scripted_engine(Overtaken()))
    assert results == [True]
    assert await version_of(studio) == version + 1


async def version_of(studio: Studio) -> int:
    async with studio.database.transaction() as session:
        head = await session.get(Transcript, studio.made.id)
        return head.version if head else 0


async def test_another_models_windows_are_heard_anew(studio: Studio) -> None:
    """One transcript is never of two models."""
    run_id, alone = await studio.request(), await studio.request()
    with pytest.raises(TranscriberUnavailable):
        await studio.make(run_id, scripted_engine(Dies(after=5)))
    other = ScriptedTranscriber(("quite", "other", "words"))
    await studio.make(run_id, scripted_engine(other))
    await studio.make(alone, scripted_engine(other))
    assert await studio.words(run_id) == await studio.words(alone)
    assert (await studio.run(run_id)).model_digest == other.model.digest


async def test_a_chosen_language_is_not_detected(studio: Studio) -> None:
    ada = studio.made.participants["Ada"]
    async with studio.database.transaction() as session:
        session.add(TrackLanguage(participant_id=ada.id, language="fr", set_by=ada.user_id))
    run_id = await studio.request()
    await studio.make(run_id)
    async with studio.database.transaction() as session:
        track = await session.get_one(RunTrack, (run_id, ada.id))
        chosen = await session.get_one(TrackLanguage, ada.id)
        await session.delete(chosen)
    assert (track.language, track.language_probability) == ("fr", 1.0)


async def test_a_new_revision_ends_a_run_over_the_old_one(studio: Studio) -> None:
    run_id = await studio.request()
    async with studio.database.transaction() as session:
        recording = await session.merge(studio.made.recording)
        recording.revision += 1
    try:
        with pytest.raises(runs.RunSuperseded):
            await studio.make(run_id)
    finally:
        async with studio.database.transaction() as session:
            await session.merge(studio.made.recording)
            await runs.stumble(session, run_id, runs.RunSuperseded.code, for_good=True)


async def test_a_run_that_ends_after_a_new_revision_is_not_published(studio: Studio) -> None:
    """The new one's transcript may be there already."""
    run_id = await studio.request()
    version = await version_of(studio)

    class Salvaged(ScriptedTranscriber):
        async def hear(self, pcm: Pcm, decoding: Decoding) -> Heard:
            await self._revise(2)
            return await super().hear(pcm, decoding)

        async def _revise(self, revision: int) -> None:
            async with studio.database.transaction() as session:
                (await session.get_one(Recording, studio.made.id)).revision = revision

    engine = Salvaged()
    try:
        with pytest.raises(runs.RunSuperseded):
            await studio.make(run_id, scripted_engine(engine))
    finally:
        await engine._revise(1)
    assert await version_of(studio) == version
    assert (await studio.run(run_id)).status is RunStatus.RUNNING
    async with studio.database.transaction() as session:
        await runs.stumble(session, run_id, runs.RunSuperseded.code, for_good=True)


async def test_who_withdraws_while_a_run_goes_on_is_missing_in_it(studio: Studio) -> None:
    """Seen by nobody until they agree again; then it says that something was said there."""
    run_id = await studio.request()
    with pytest.raises(TranscriberUnavailable):
        await studio.make(run_id, scripted_engine(Dies(after=3)))  # planned, nothing decoded
    ben = studio.made.participants["Ben"]
    async with studio.database.transaction() as session:
        (await session.merge(ben)).consented_at = None
    assert await studio.make(run_id)
    async with studio.database.transaction() as session:
        hidden = await missing_of(session, studio.made.id)
        (await session.merge(ben)).consented_at = studio.made.room.live_at
        await session.flush()
        shown = await missing_of(session, studio.made.id)
    rows = [row for row in await studio.words(run_id) if row[0] == ben.id]
    assert [(words, missing) for *_, words, missing in rows] == [([], row[2]) for row in rows]
    assert ben.id not in {gap.participant_id for gap, _ in hidden}
    assert ben.id in {gap.participant_id for gap, _ in shown}


async def test_words_that_no_database_takes_do_not_end_a_run(studio: Studio) -> None:
    run_id = await studio.request()
    odd = ScriptedTranscriber(("sea\x00weed", "\u202ekeeps", "wor\ud800ds", "\x1b[2Jwell"))
    assert await studio.make(run_id, scripted_engine(odd))
    async with studio.database.transaction() as session:
        cues = await session.scalars(sa.select(Cue).where(Cue.recording_id == studio.made.id))
        said = {word[2].strip() for cue in cues for word in cue.words}
    assert said <= {"seaweed", "keeps", "words", "[2Jwell"}


async def test_nobody_listens_to_who_did_not_agree(studio: Studio) -> None:
    ben = studio.made.participants["Ben"]
    async with studio.database.transaction() as session:
        (await session.merge(ben)).consented_at = None
    run_id = await studio.request()
    await studio.make(run_id)
    assert ben.id not in {who for who, *_ in await studio.words(run_id)}
    async with studio.database.transaction() as session:
        (await session.merge(ben)).consented_at = studio.made.room.live_at


async def test_the_end_of_each_revision_asks_for_one_run(studio: Studio) -> None:
    async with studio.database.transaction() as session:
        recording = await session.merge(studio.made.recording)
        assert await runs.request_first_run(session, recording) is None
        recording.revision += 1
        first = await runs.request_first_run(session, recording)
        assert first is not None
        assert first.revision == recording.revision
        assert await runs.request_first_run(session, recording) is None
        await session.rollback()


async def test_the_engine_gets_the_model_that_was_asked_for(studio: Studio) -> None:
    asked: list[str | None] = []

    @asynccontextmanager
    async def engine(model: str | None) -> AsyncIterator[ScriptedTranscriber]:
        asked.append(model)
        yield ScriptedTranscriber()

    for model in (runs.DEFAULT_MODEL, "large-v3-turbo"):
        async with studio.database.transaction() as session:
            run = await runs.request_run(
                session, studio.made.id, model=model, own_model="bundled", requested_by=None
            )
        await studio.make(run.id, engine)
    assert asked == [None, "large-v3-turbo"]
    assert isinstance(ScriptedTranscriber().model, Model)
