"""What is read of a transcript: the published one, how far the next one is, its runs.

Words of who withdrew their consent are left out whenever something is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVarTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from core.auth.principal import Principal
from core.errors import NotFound
from replay.recordings import room_of, room_time
from replay.roomtime import RoomTime
from rooms.access import Action
from rooms.models import Participant, Room
from rooms.queries import spoken_with_consent
from transcripts.merge import MissingSpeech, SpokenCue
from transcripts.models import (
    UNDER_WAY,
    Cue,
    Missing,
    Run,
    RunStatus,
    RunTrack,
    SpeakerName,
    TrackLanguage,
    Transcript,
    Window,
)
from transcripts.words import Span

MOST_RUNS: Final = 50
Columns = TypeVarTuple("Columns")


class TranscriptNotReady(NotFound):
    """`progress` says how far it is."""

    code = "transcript_not_ready"
    title = "There is no transcript yet"


@dataclass(frozen=True, slots=True)
class TrackProgress:
    """Of one speaker; `language` is null until it is known, or where nobody spoke."""

    participant_id: UUID
    speaker: str
    language: str | None
    language_probability: float
    speech_ms: int
    windows_done: int
    windows_total: int


@dataclass(frozen=True, slots=True)
class Progress:
    """The newest run, and what is published meanwhile, from which `source`.

    Without tracks it is not planned yet.
    """

    run: Run | None
    published: Transcript | None
    source: Run | None
    tracks: list[TrackProgress]

    @property
    def windows_done(self) -> int:
        return sum(track.windows_done for track in self.tracks)

    @property
    def windows_total(self) -> int | None:
        if self.run is None or self.run.model_digest is None:
            return None
        return sum(track.windows_total for track in self.tracks)


@dataclass(frozen=True, slots=True)
class Speaker:
    participant_id: UUID
    name: str
    language: str | None
    chosen_language: str | None


@dataclass(frozen=True, slots=True)
class Published:
    """Times are on the room's clock; `clock` brings them to the media's."""

    head: Transcript
    speakers: list[Speaker]
    cues: list[tuple[Cue, str]]
    """Each with its speaker's name, in the order of time."""

    missing: list[tuple[Missing, str]]
    clock: RoomTime

    def on_media(self) -> tuple[list[SpokenCue], list[MissingSpeech]]:
        """As players and files count: what was off the record takes no time."""
        cues = [
            SpokenCue(str(number), *self._media(cue.start_ms, cue.end_ms), name, cue.text)
            for number, (cue, name) in enumerate(self.cues, 1)
        ]
        missing = [
            MissingSpeech(Span(*self._media(gap.start_ms, gap.end_ms)), name)
            for gap, name in self.missing
        ]
        return cues, missing

    def _media(self, start_ms: int, end_ms: int) -> tuple[int, int]:
        return round(self.clock.to_media(start_ms)), round(self.clock.to_media(end_ms))


async def listened_room(
    session: AsyncSession, principal: Principal, recording_id: UUID, action: Action = Action.LISTEN
) -> Room:
    """The recording's room, if the caller may do `action` there. Raises what access raises."""
    room, _ = await room_of(session, principal, recording_id, action)
    return room


async def progress(session: AsyncSession, recording_id: UUID) -> Progress:
    newest = sa.select(Run).where(Run.recording_id == recording_id).order_by(Run.id.desc())
    run = await session.scalar(newest.limit(1))
    published = await session.get(Transcript, recording_id)
    source = await session.get(Run, published.run_id) if published else None
    tracks = [] if run is None else await _tracks(session, run.id)
    return Progress(run, published, source, tracks)


async def open_runs(session: AsyncSession, recording_id: UUID) -> list[Progress]:
    """The newest run, whatever came of it, and before it all that are not finished, or that
    failed after what is published was asked for. The newest first."""
    newest = await progress(session, recording_id)
    if newest.run is None:
        return []
    left = Run.status.in_(UNDER_WAY)
    failed = Run.status == RunStatus.FAILED
    if newest.source is not None:
        failed &= Run.id > newest.source.id
    query = sa.select(Run).where(Run.recording_id == recording_id, Run.id != newest.run.id)
    others = await session.scalars(query.where(left | failed).order_by(Run.id.desc()))
    return [
        newest,
        *[replace(newest, run=run, tracks=await _tracks(session, run.id)) for run in others.all()],
    ]


async def _tracks(session: AsyncSession, run_id: UUID) -> list[TrackProgress]:
    window = sa.and_(
        Window.run_id == RunTrack.run_id, Window.participant_id == RunTrack.participant_id
    )
    done, total = sa.func.count(Window.decoded_at), sa.func.count(Window.number)
    rows = await session.execute(
        _with_speakers(sa.select(RunTrack, speaker_name(), done, total), RunTrack.participant_id)
        .outerjoin(Window, window)
        .where(RunTrack.run_id == run_id)
        .group_by(RunTrack.run_id, RunTrack.participant_id, speaker_name())
        .order_by(RunTrack.participant_id)
    )
    return [
        TrackProgress(
            track.participant_id,
            name,
            track.language,
            track.language_probability,
            track.speech_ms,
            done,
            total,
        )
        for track, name, done, total in rows
    ]


def speaker_name() -> sa.ColumnElement[str]:
    """In a query that joins both."""
    return sa.func.coalesce(SpeakerName.name, Participant.display_name)


async def published(session: AsyncSession, recording_id: UUID) -> Published:
    """All of it. Raises TranscriptNotReady."""
    head = await head_of(session, recording_id)
    return Published(
        head,
        await speakers_of(session, head),
        await cues_of(session, recording_id),
        await missing_of(session, recording_id),
        await room_time(session, recording_id),
    )


async def head_of(session: AsyncSession, recording_id: UUID) -> Transcript:
    """Raises TranscriptNotReady."""
    found = await progress(session, recording_id)
    if found.published is None:
        run = found.run
        raise TranscriptNotReady(
            progress={
                "status": run.status.value if run is not None else "none",
                "error_code": run.error_code if run is not None else None,
                "windows_done": found.windows_done,
                "windows_total": found.windows_total,
            }
        )
    return found.published


async def speakers_of(session: AsyncSession, head: Transcript) -> list[Speaker]:
    tracks = await _tracks(session, head.run_id)
    ids = [track.participant_id for track in tracks]
    query = sa.select(TrackLanguage).where(TrackLanguage.participant_id.in_(ids))
    chosen = {one.participant_id: one.language for one in await session.scalars(query)}
    return [
        Speaker(t.participant_id, t.speaker, t.language, chosen.get(t.participant_id))
        for t in tracks
    ]


async def cues_of(
    session: AsyncSession,
    recording_id: UUID,
    *,
    after: tuple[int, UUID] | None = None,
    limit: int | None = None,
) -> list[tuple[Cue, str]]:
    """With speakers' names, by their beginning; `after` that of the last one seen, and its id."""
    query = (
        _with_speakers(sa.select(Cue, speaker_name()), Cue.participant_id)
        .where(Cue.recording_id == recording_id)
        .order_by(Cue.start_ms, Cue.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(sa.tuple_(Cue.start_ms, Cue.id) > sa.tuple_(*after))
    return [(cue, name) for cue, name in await session.execute(query)]


async def missing_of(session: AsyncSession, recording_id: UUID) -> list[tuple[Missing, str]]:
    query = (
        _with_speakers(sa.select(Missing, speaker_name()), Missing.participant_id)
        .where(Missing.recording_id == recording_id)
        .order_by(Missing.start_ms, Missing.participant_id)
    )
    return [(gap, name) for gap, name in await session.execute(query)]


def _with_speakers(
    query: sa.Select[*Columns], who: InstrumentedAttribute[UUID]
) -> sa.Select[*Columns]:
    """Joins what names are made of, and leaves out who withdrew their consent."""
    return (
        query.join(Participant, Participant.id == who)
        .outerjoin(SpeakerName, SpeakerName.participant_id == who)
        .where(spoken_with_consent())
    )


async def runs_of(session: AsyncSession, recording_id: UUID) -> Sequence[Run]:
    """The newest first."""
    query = sa.select(Run).where(Run.recording_id == recording_id).order_by(Run.id.desc())
    return (await session.scalars(query.limit(MOST_RUNS))).all()
