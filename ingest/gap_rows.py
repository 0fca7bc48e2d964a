"""The stored gaps of a recording, as its manifest lists them."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from ingest.manifest import GapFound
from ingest.models import Gap


async def gaps_of(session: AsyncSession, recording_id: UUID) -> list[GapFound]:
    rows = await session.scalars(
        sa.select(Gap).where(Gap.recording_id == recording_id).order_by(Gap.number)
    )
    return [
        GapFound(
            number=row.number,
            participant_id=str(row.participant_id) if row.participant_id else None,
            cause=row.cause.value,
            room_start_ms=row.room_start_ms,
            room_end_ms=row.room_end_ms,
        )
        for row in rows
    ]
