"""Carries a run out: plans it once, then decodes what has no words yet, and publishes it.

Killed at any line it loses the window it was at: called again, it goes on with the next one.
No transaction is open while sound is fetched or heard.
"""

import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.storage import ObjectStore
from replay.holdings import HeldRendition, Holding, load_holding
from rooms.models import Participant
from rooms.queries import spoken_with_consent
from transcripts import runs
from transcripts.engines import Engine
from transcripts.models import Run
from transcripts.pipeline import TrackPlan, WindowPlan, WindowResult, decode_window, plan_track
from transcripts.tracks import RoomTrack, room_track
from transcripts.transcriber import Transcriber
from transcripts.words import Span

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Task:
    run: Run
    voices: dict[UUID, HeldRendition]
    """By participant: those who spoke and agreed to be recorded."""

    languages: dict[UUID, str]
    """Chosen by people; the others are detected."""


async def make(
    database: Database, store: ObjectStore, engine: Engine, run_id: UUID, *, scratch: Path
) -> bool:
    """Whether this call finished it; `scratch` gets 2 MB a minute and speaker while it runs.

    Raises RunSuperseded, UnknownRecording, SoundMissing, StoreUnavailable, and what the engine
    raises.
    """
    async with database.transaction() as session:
        task = await _task(session, run_id)
    if task is None:
        return False
    model = None if task.run.model == runs.DEFAULT_MODEL else task.run.model
    async with engine(model) as transcriber, AsyncExitStack() as stack:
        tracks = _Tracks(store, task.voices, scratch, stack)
        await _plan(database, task, tracks, transcriber)
        await _decode(database, run_id, tracks, transcriber)
    async with database.transaction() as session:
        return await runs.finish(session, run_id)


async def _task(session: AsyncSession, run_id: UUID) -> _Task | None:
    run = await runs.begin(session, run_id)
    if run is None:
        return None
    holding = await load_holding(session, run.recording_id)
    voices = await _voices(session, holding)
    return _Task(run, voices, await runs.chosen_languages(session, list(voices)))


async def _voices(session: AsyncSession, holding: Holding) -> dict[UUID, HeldRendition]:
    by_participant = {r.row.participant_id: r for r in holding.renditions if r.segments}
    consenting = await session.scalars(
        sa.select(Participant.id).where(
            Participant.id.in_([who for who in by_participant if who is not None]),
            spoken_with_consent(),
        )
    )
    return {who: by_participant[who] for who in sorted(consenting)}


class _Tracks:
    """Decoded when they are first asked for, and kept until the run is left."""

    def __init__(
        self,
        store: ObjectStore,
        voices: dict[UUID, HeldRendition],
        scratch: Path,
        stack: AsyncExitStack,
    ) -> None:
        self._store = store
        self._voices = voices
        self._scratch = scratch
        self._stack = stack
        self._open: dict[UUID, RoomTrack] = {}

    def __contains__(self, participant_id: UUID) -> bool:
        return participant_id in self._voices

    async def of(self, participant_id: UUID) -> RoomTrack:
        if participant_id not in self._open:
            opening = room_track(self._store, self._voices[participant_id], self._scratch)
            self._open[participant_id] = await self._stack.enter_async_context(opening)
        return self._open[participant_id]


async def _plan(database: Database, task: _Task, tracks: _Tracks, transcriber: Transcriber) -> None:
    run, model = task.run, transcriber.model
    if run.model_digest is not None:
        async with database.transaction() as session:
            return await runs.take_over(session, run.id, model)
    plans: dict[UUID, TrackPlan] = {}
    for who in task.voices:
        track = await tracks.of(who)
        plans[who] = await plan_track(track, transcriber, language=task.languages.get(who))
    async with database.transaction() as session:
        await runs.store_plan(session, run.id, model, plans)
    log.info("run %s: %d windows", run.id, sum(len(plan.windows) for plan in plans.values()))
    return None


async def _decode(
    database: Database, run_id: UUID, tracks: _Tracks, transcriber: Transcriber
) -> None:
    """Every window that has no words; somebody else may be at it too."""
    async with database.transaction() as session:
        waiting = await runs.waiting_windows(session, run_id)
    for window, language in waiting:
        plan = WindowPlan(window.number, tuple(Span(*region) for region in window.regions))
        # Nobody listens to who took their consent back; if they give it again, that shows.
        result = WindowResult((), plan.regions)
        if window.participant_id in tracks:
            track = await tracks.of(window.participant_id)
            result = await decode_window(track, transcriber, plan, language=language)
        async with database.transaction() as session:
            await runs.store_window(session, window, result)
