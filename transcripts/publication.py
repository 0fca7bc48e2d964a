"""Publishes what was heard and corrected: one run's words with the edits, cut into cues.

Cues that stay as they are keep their rows and ids, so that an edit costs what it touches.
Everything is in the caller's transaction: cues, subtitles, search and version change together.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.webhooks.service import emit
from replay.subtitles import NewCue, replace_cues
from rooms.events import record_event
from rooms.models import Room
from rooms.queries import lock_room
from transcripts.alignment import ordered
from transcripts.cues import pieces
from transcripts.indexing import index
from transcripts.models import (
    Cue,
    Missing,
    Patch,
    PatchState,
    RunTrack,
    SpeakerName,
    Transcript,
    Window,
)
from transcripts.patches import Edit, Edited, Said, apply_all, within
from transcripts.words import Word

_WRITTEN: Final = (
    Cue.id,
    Cue.start_ms,
    Cue.end_ms,
    Cue.language,
    Cue.text,
    Cue.words,
    Cue.confidence,
    Cue.edited,
)

PUBLISHED: Final = "transcript.published"
"""Room event and webhook: the transcript has another version."""


async def publish(session: AsyncSession, *, recording_id: UUID, run_id: UUID) -> Transcript:
    """Makes `run_id` what is read. Edits that don't fit it become conflicts.

    The run must be done. Takes the room's lock.
    """
    room = await locked_room(session, recording_id)
    head = await session.get(Transcript, recording_id, populate_existing=True)
    if head is None:
        head = Transcript(recording_id=recording_id, run_id=run_id, version=0)
        session.add(head)
    head.run_id, head.run_version = run_id, head.version + 1
    tracks = await _tracks(session, run_id)
    await _forget_others(session, recording_id, [t.participant_id for t in tracks])
    for track in tracks:
        await _publish_track(session, room, head, track)
    await announce(session, room, head)
    return head


async def republish(session: AsyncSession, room: Room, head: Transcript, who: UUID) -> None:
    """After an edit of one participant's track. Needs the room's lock."""
    track = await session.get_one(RunTrack, (head.run_id, who))
    await _publish_track(session, room, head, track)
    await announce(session, room, head, of=who)


async def announce(
    session: AsyncSession, room: Room, head: Transcript, *, of: UUID | None = None
) -> None:
    """Another version: subtitles and search follow, the room and the platform are told.

    `of`: the only participant whose cues have changed. Needs the room's lock.
    """
    await _show_subtitles(session, head.recording_id)
    await index(session, head.recording_id, of=of)
    head.version += 1
    head.published_at = sa.func.now()
    data = {
        "recording_id": str(head.recording_id),
        "version": head.version,
        "run_id": str(head.run_id),
    }
    await emit(
        session,
        platform_id=room.platform_id,
        kind=PUBLISHED,
        data={"room_id": str(room.id), **data},
    )
    await record_event(session, room, PUBLISHED, data=data)


async def edited_track(
    session: AsyncSession, head: Transcript, who: UUID
) -> tuple[Edited, list[Patch]]:
    """A participant's words after all edits that were not withdrawn, and these."""
    words = await _words(session, head.run_id, who)
    query = (
        sa.select(Patch)
        .where(Patch.recording_id == head.recording_id, Patch.participant_id == who)
        .where(Patch.state != PatchState.WITHDRAWN)
        .order_by(Patch.number)
    )
    patches = list(await session.scalars(query))
    return apply_all(words, map(edit_of, patches)), patches


def edit_of(patch: Patch) -> Edit:
    return Edit(
        patch.id, patch.start_ms, patch.end_ms, patch.text, tuple(patch.breaks), patch.replaced
    )


async def locked_room(session: AsyncSession, recording_id: UUID) -> Room:
    """The room of a recording, with its lock."""
    query = sa.select(Room.id).where(Room.recording_id == recording_id)
    room_id = (await session.execute(query)).scalar_one()
    await lock_room(session, room_id)
    return await session.get_one(Room, room_id, populate_existing=True)


async def _tracks(session: AsyncSession, run_id: UUID) -> list[RunTrack]:
    return list(await session.scalars(sa.select(RunTrack).where(RunTrack.run_id == run_id)))


async def _forget_others(session: AsyncSession, recording_id: UUID, tracks: list[UUID]) -> None:
    """Of speakers whom the run before knew."""
    for table in (Cue, Missing):
        others = table.participant_id.not_in(tracks)
        await session.execute(
            sa.delete(table)
            .where(table.recording_id == recording_id, others)
            .execution_options(synchronize_session=False)
        )


async def _publish_track(
    session: AsyncSession, room: Room, head: Transcript, track: RunTrack
) -> None:
    edited, patches = await edited_track(session, head, track.participant_id)
    for patch in patches:
        found = patch.id not in edited.conflicts
        patch.state = PatchState.APPLIED if found else PatchState.CONFLICT
    language = track.language or room.language
    cues = _cues(edited.said, language)
    await _replace_cues(session, room, head.recording_id, track.participant_id, cues)
    await _replace_missing(session, head, track.participant_id, edited.said)


async def _words(session: AsyncSession, run_id: UUID, who: UUID) -> list[Word]:
    query = (
        sa.select(Window.words)
        .where(Window.run_id == run_id, Window.participant_id == who)
        .order_by(Window.number)
    )
    windows = await session.scalars(query)
    return ordered([Word(*word) for words in windows for word in words or ()])


def _cues(said: Sequence[Said], language: str) -> Iterator[dict[str, Any]]:
    """Rows of cues; where people cut, they are cut."""
    cut = pieces([s.word for s in said], [s.begins for s in said])
    first = 0
    for piece in cut:
        of_cue = said[first : first + len(piece.words)]
        first += len(of_cue)
        yield {
            "start_ms": piece.start_ms,
            "end_ms": piece.end_ms,
            "language": language,
            "text": piece.text,
            "words": [[w.start_ms, w.end_ms, w.text, w.confidence] for w in piece.words],
            "confidence": piece.confidence,
            "edited": any(s.edited for s in of_cue),
        }


async def _replace_cues(
    session: AsyncSession,
    room: Room,
    recording_id: UUID,
    who: UUID,
    values: Iterable[dict[str, Any]],
) -> None:
    """A cue is another one when it begins elsewhere; rows that stay are not written.

    Rows, not objects: of a track's thousand cues an edit changes one.
    """
    mine = sa.and_(Cue.recording_id == recording_id, Cue.participant_id == who)
    old = {row.start_ms: row for row in await session.execute(sa.select(*_WRITTEN).where(mine))}
    place = {"recording_id": recording_id, "room_id": room.id, "platform_id": room.platform_id}
    new: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    for wanted in values:
        row = old.pop(wanted["start_ms"], None)
        if row is None:
            new.append({**place, "participant_id": who, **wanted})
        elif any(getattr(row, name) != value for name, value in wanted.items()):
            changed.append({"id": row.id, **wanted})
    if old:
        gone = sa.delete(Cue).where(Cue.id.in_([row.id for row in old.values()]))
        await session.execute(gone.execution_options(synchronize_session=False))
    if changed:
        await session.execute(sa.update(Cue), changed)
    if new:
        await session.execute(sa.insert(Cue), new)


async def _replace_missing(
    session: AsyncSession, head: Transcript, who: UUID, said: Sequence[Said]
) -> None:
    """What a person has filled in is missing no more."""
    query = sa.select(Window.missing).where(
        Window.run_id == head.run_id, Window.participant_id == who
    )
    spans = {start: end for missing in await session.scalars(query) for start, end in missing}
    mine = sa.and_(Missing.recording_id == head.recording_id, Missing.participant_id == who)
    await session.execute(
        sa.delete(Missing).where(mine).execution_options(synchronize_session=False)
    )
    for start, end in spans.items():
        if not any(s.edited for s in said[within(said, start, end)]):
            session.add(
                Missing(
                    recording_id=head.recording_id,
                    participant_id=who,
                    start_ms=start,
                    end_ms=end,
                )
            )
    await session.flush()


async def _show_subtitles(session: AsyncSession, recording_id: UUID) -> None:
    called = sa.and_(
        SpeakerName.recording_id == Cue.recording_id,
        SpeakerName.participant_id == Cue.participant_id,
    )
    rows = await session.execute(
        sa.select(
            Cue.participant_id,
            Cue.start_ms,
            Cue.end_ms,
            Cue.language,
            Cue.text,
            SpeakerName.name,
        )
        .outerjoin(SpeakerName, called)
        .where(Cue.recording_id == recording_id)
        .order_by(Cue.start_ms, Cue.participant_id)
    )
    await replace_cues(session, recording_id, [NewCue(*row) for row in rows])
