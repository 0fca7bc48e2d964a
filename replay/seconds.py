"""One moment of a recording on the room's clock, without reading all of its segments."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from ingest.hls import SAMPLE_RATE
from ingest.models import Rendition, Segment
from replay.recorded import MIX
from replay.roomtime import RoomTime, Stretch


async def room_ms_at(
    session: AsyncSession, recording_id: UUID | None, *, media_ms: int
) -> float | None:
    """As `RoomTime.to_room`, by what is stored of the mix; None where nothing is."""
    first, last = Segment.sequence.asc(), Segment.sequence.desc()
    until = Segment.media_start <= media_ms * SAMPLE_RATE // 1000
    nearest = await _segment(session, recording_id, until, last) or await _segment(
        session, recording_id, sa.true(), first
    )
    return None if nearest is None else RoomTime([nearest]).to_room(media_ms)


async def _segment(
    session: AsyncSession,
    recording_id: UUID | None,
    which: sa.ColumnElement[bool],
    order: sa.UnaryExpression[int],
) -> Stretch | None:
    row = (
        await session.execute(
            sa.select(Segment.media_start, Segment.samples, Segment.room_start_ms)
            .join(Rendition, Rendition.id == Segment.rendition_id)
            .where(Rendition.recording_id == recording_id, Rendition.name == MIX, which)
            .order_by(order)
            .limit(1)
        )
    ).one_or_none()
    return None if row is None else Stretch(*row)
