"""Brings what was salvaged into a recording that has ended: objects first, then all rows at once.

Not before the end: a live playlist may only grow, and what it named stays as it was. Afterwards
a new revision has the sound in place of the silence that stood in for it.
"""

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.queue import enqueue
from core.storage import ObjectExists, ObjectStore
from ingest import rows
from ingest.continuation import continued, stored_lines, write_manifest
from ingest.folders import Folders
from ingest.manifest import (
    Continued,
    Ended,
    GapFound,
    Line,
    Opened,
    RenditionOpened,
    SegmentWritten,
    dump,
)
from ingest.marks import RecordMark
from ingest.models import (
    Gap,
    GapCause,
    Recording,
    RecordingEpoch,
    RecordingStatus,
    Rendition,
    Segment,
)
from ingest.salvage import Limits, Salvaged, salvage
from ingest.uploader import CONTENT_TYPE, ObjectDiffers
from ingest.withdrawals import withdrawals
from rooms.stage import Stage, stage_of

log = logging.getLogger(__name__)

ASIDE: Final = 1_000_000_000
"""Sequence numbers from here on are on their way to their place."""

JOINED_MS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be packaged, and in front of which rows it goes."""

    lines: list[Line]
    limits: Limits


async def bring_in(
    database: Database, store: ObjectStore, folders: Folders, recording_id: str, epoch: int
) -> bool:
    """The fenced journal of one epoch; False while its recording has not ended.

    `folders` are those of the epoch. Afterwards nothing of it is left on this disk.
    """
    async with database.transaction() as session:
        if not await _is_due(session, UUID(recording_id)):
            return False
        plan = await _plan(session, UUID(recording_id), epoch)
    if plan is not None:
        spool = folders.spool(recording_id)
        await asyncio.to_thread(shutil.rmtree, spool, ignore_errors=True)
        await asyncio.to_thread(write_manifest, spool, plan.lines)
        found = await asyncio.to_thread(salvage, folders, recording_id, plan.limits)
        opened = _next_revision(plan.lines[0])
        await _put_all(store, folders, opened, found.lines)
        async with database.transaction() as session:
            await replace_silence(session, opened=opened, plan=plan, found=found)
        await _put_manifest(database, store, UUID(recording_id))
        log.info("recording %s has %d salvaged segments", recording_id, len(found.lines))
    for folder in (folders.spool(recording_id), folders.journal(recording_id)):
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    return True


async def _is_due(session: AsyncSession, recording_id: UUID) -> bool:
    """Between compaction and its sweep nothing is changed: what it deletes must stay known.

    A recording that is not there any more has nothing to wait for.
    """
    recording = await session.get(Recording, recording_id)
    if recording is None:
        return True
    between = recording.compacted_at is not None and recording.swept_at is None
    return recording.status is RecordingStatus.STORED and not between


async def _plan(session: AsyncSession, recording_id: UUID, epoch: int) -> Plan | None:
    """None where nothing is to be salvaged: the epoch is complete, or the recording erased."""
    placed = await session.get(RecordingEpoch, (recording_id, epoch))
    recording = await session.get(Recording, recording_id)
    if placed is None or recording is None or placed.complete_until_ms is not None:
        return None
    stage = await stage_of(session, recording.room_id)
    until_ms = await session.scalar(
        sa.select(sa.func.min(RecordingEpoch.began_ms)).where(
            RecordingEpoch.recording_id == recording_id, RecordingEpoch.epoch > epoch
        )
    )
    if stage is None or until_ms is None:
        return None
    lines = await stored_lines(session, recording_id, epoch=epoch, up_to_epoch=epoch)
    since = await continued(session, stage, lines, epoch=epoch)
    seams = Continued(since.began_ms, since.since_ms, [*since.seams_ms, until_ms])
    limits = Limits(
        began_ms=placed.began_ms,
        until_ms=until_ms,
        record=[RecordMark(m.room_ms, m.on) for m in stage.marks if m.room_ms <= until_ms],
        withheld=await _withheld(session, stage, since.since_ms, until_ms),
        ended_ms=stage.ended_room_ms,
        resume=await _resume(session, recording_id, epoch, until_ms),
    )
    return Plan([lines[0], seams, *lines[1:]], limits)


async def _withheld(
    session: AsyncSession, stage: Stage, since_ms: float, until_ms: int
) -> dict[str, int]:
    """Withdrawals that the worker may not have heard of: nothing said after them is used."""
    found = await withdrawals(session, stage.room_id)
    track_objects_ms = 30_000
    return {
        str(who): room_ms
        for who, room_ms in found.items()
        if since_ms - track_objects_ms <= room_ms <= until_ms
    }


async def _resume(
    session: AsyncSession, recording_id: UUID, epoch: int, until_ms: int
) -> dict[str, int]:
    found = await session.execute(
        sa.select(Rendition.name, sa.func.min(Segment.media_start).label("media"))
        .join(Segment, Segment.rendition_id == Rendition.id)
        .where(Rendition.recording_id == recording_id, Segment.epoch > epoch)
        .where(Segment.room_start_ms > until_ms - 1)
        .group_by(Rendition.name)
    )
    return {row.name: row.media for row in found}


def _next_revision(line: Line) -> Opened:
    if not isinstance(line, Opened):
        raise TypeError("a manifest begins with Opened")
    return replace(line, revision=line.revision + 1)


async def _put_all(
    store: ObjectStore, folders: Folders, opened: Opened, lines: Iterable[Line]
) -> None:
    for line in lines:
        if not isinstance(line, RenditionOpened | SegmentWritten):
            continue
        path = folders.spool(opened.recording_id) / line.file
        data = await asyncio.to_thread(path.read_bytes)
        key = rows.object_key(opened, line.rendition, line.file)
        try:
            await store.put(key, data, content_type=CONTENT_TYPE)
        except ObjectExists:
            if await store.get(key) != data:
                raise ObjectDiffers from None


async def replace_silence(
    session: AsyncSession, *, opened: Opened, plan: Plan, found: Salvaged
) -> None:
    """All rows of one salvage, once; the recording's lock orders it among others."""
    recording_id = UUID(opened.recording_id)
    recording = await session.get_one(
        Recording, recording_id, with_for_update={"key_share": True}, populate_existing=True
    )
    placed = await session.get_one(
        RecordingEpoch, (recording_id, opened.epoch), populate_existing=True
    )
    if placed.complete_until_ms is not None:
        return
    placed.complete_until_ms = found.complete_until_ms
    recording.packets_received += found.packets_received
    recording.packets_lost += found.packets_lost
    segments = [line for line in found.lines if isinstance(line, SegmentWritten)]
    await rows.add_renditions(
        session, opened, [line for line in found.lines if isinstance(line, RenditionOpened)]
    )
    for rendition in await rows.rendition_ids(session, recording_id):
        await _splice(session, opened, rendition, segments)
    await _list_gaps(session, opened, plan, found)
    if segments:
        recording.revision += 1
        recording.compacted_at = recording.swept_at = None
        await enqueue(
            session,
            rows.RECORDING_FINISHED,
            {"recording_id": opened.recording_id},
            dedupe_key=f"{opened.recording_id}/{recording.revision}",
        )


async def _splice(
    session: AsyncSession,
    opened: Opened,
    rendition: tuple[str, UUID],
    segments: Iterable[SegmentWritten],
) -> None:
    """The salvaged segments of one rendition in place of the silence; then all count from 0."""
    name, rendition_id = rendition
    new = [line for line in segments if line.rendition == name]
    if not new:
        return
    end = new[-1].media_start + new[-1].samples
    of_rendition = Segment.rendition_id == rendition_id
    await session.execute(
        sa.delete(Segment)
        .where(of_rendition, Segment.epoch > opened.epoch)
        .where(Segment.media_start >= new[0].media_start, Segment.media_start < end)
        .execution_options(synchronize_session=False)
    )
    values = [rows.segment_row(opened, line, rendition_id) for line in new]
    for value in values:
        value["sequence"] = ASIDE + int(str(value["sequence"]))
    await session.execute(sa.insert(Segment).values(values))
    await _mark_pause(session, of_rendition, new[-1])
    await _count_from_zero(session, rendition_id)


async def _mark_pause(
    session: AsyncSession, of_rendition: sa.ColumnElement[bool], last: SegmentWritten
) -> None:
    """What was a track's first segment follows another now, perhaps across a pause."""
    end_ms = last.room_start_ms + last.samples / 48
    follows = sa.and_(of_rendition, Segment.media_start == last.media_start + last.samples)
    paused = Segment.room_start_ms > end_ms + JOINED_MS
    await session.execute(
        sa.update(Segment)
        .where(follows, paused)
        .values(discontinuity=True)
        .execution_options(synchronize_session=False)
    )


async def _count_from_zero(session: AsyncSession, rendition_id: UUID) -> None:
    """In two steps, for a key must be free when a row takes it."""
    place = (
        sa.select(
            Segment.sequence,
            (sa.func.row_number().over(order_by=Segment.media_start) - 1).label("place"),
        )
        .where(Segment.rendition_id == rendition_id)
        .subquery()
    )
    aside = (
        sa.update(Segment)
        .where(Segment.rendition_id == rendition_id, Segment.sequence == place.c.sequence)
        .values(sequence=2 * ASIDE + sa.cast(place.c.place, sa.Integer))
    )
    back = (
        sa.update(Segment)
        .where(Segment.rendition_id == rendition_id)
        .values(sequence=Segment.sequence - 2 * ASIDE)
    )
    for step in (aside, back):
        await session.execute(step.execution_options(synchronize_session=False))


async def _list_gaps(session: AsyncSession, opened: Opened, plan: Plan, found: Salvaged) -> None:
    """What was salvaged is lost no more; what that worker had missed itself is listed."""
    recording_id = UUID(opened.recording_id)
    numbers = sa.select(sa.func.max(Gap.number)).where(Gap.recording_id == recording_id)
    number = (await session.scalar(numbers) or 0) + 1
    kept = (float(plan.limits.began_ms), found.complete_until_ms)
    lost = await session.scalars(
        sa.select(Gap).where(Gap.recording_id == recording_id, Gap.cause == GapCause.WORKER_LOST)
    )
    new = [_gap(recording_id, line) for line in found.lines if isinstance(line, GapFound)]
    for gap in list(lost):
        parts = without((gap.room_start_ms, gap.room_end_ms), kept)
        if parts == [(gap.room_start_ms, gap.room_end_ms)]:
            continue
        await session.delete(gap)
        new += [
            Gap(
                recording_id=recording_id,
                participant_id=gap.participant_id,
                cause=gap.cause,
                room_start_ms=start,
                room_end_ms=end,
            )
            for start, end in parts
        ]
    for gap in new:
        gap.number = number
        number += 1
        session.add(gap)
    await session.flush()


def _gap(recording_id: UUID, line: GapFound) -> Gap:
    return Gap(
        recording_id=recording_id,
        participant_id=None if line.participant_id is None else UUID(line.participant_id),
        cause=GapCause(line.cause),
        room_start_ms=line.room_start_ms,
        room_end_ms=line.room_end_ms,
    )


async def _put_manifest(database: Database, store: ObjectStore, recording_id: UUID) -> None:
    """The new revision's proof of what was recorded; done again it is the same."""
    async with database.transaction() as session:
        recording = await session.get_one(Recording, recording_id)
        epoch = recording.epoch
        lines = await stored_lines(session, recording_id, epoch=epoch, up_to_epoch=epoch)
    opened = lines[0]
    if not isinstance(opened, Opened) or recording.ended_at is None:
        return
    room_end_ms = (recording.ended_at - recording.live_at).total_seconds() * 1000
    received, lost = recording.packets_received, recording.packets_lost
    ended = Ended(room_end_ms, recording.media_samples or 0, received, lost)
    data = b"".join(map(dump, [*lines, ended]))
    with contextlib.suppress(ObjectExists):
        await store.put(rows.manifest_key(opened), data, content_type="application/jsonl")


def without(stretch: tuple[float, float], kept: tuple[float, float]) -> list[tuple[float, float]]:
    """What is left of a stretch when another is cut out of it."""
    (start, end), (since, until) = stretch, kept
    if until <= start or end <= since or until <= since:
        return [stretch]
    parts = [(start, min(end, since)), (max(start, until), end)]
    return [(a, b) for a, b in parts if a < b]
