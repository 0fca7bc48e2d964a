"""The cues that match, ranked, and gathered by recording: one statement."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from rooms.models import Room
from transcripts.cursor import Cursor
from transcripts.index_models import SearchedCue, SearchedRecording
from transcripts.query import TsQuery
from transcripts.reach import Reach

BEST_MOMENTS: Final = 3


class Sort(StrEnum):
    RELEVANCE = "relevance"
    DATE = "date"
    """The newest recordings first."""


def matching(tsquery: str | sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Cues that match a tsquery as PostgreSQL writes it."""
    return SearchedCue.vector.op("@@", is_comparison=True)(sa.cast(tsquery, TSQUERY))


async def ranked_recordings(
    session: AsyncSession,
    asked: TsQuery,
    reach: Reach,
    *,
    sort: Sort,
    after: Cursor | None,
    limit: int,
) -> Sequence[sa.Row[Any]]:
    """Rows of `recording_id`, `sort_key` (a score or a time), `matches`, `best` (ids of cues);
    and the same in each: `all_recordings`, `all_matches`, `oldest` (when it went live)."""
    recordings = reach.recordings
    hits = _looked_up(asked, reach) if recordings is None else _read(asked, reach, recordings)
    placed = sa.select(_PLACED).select_from(hits.subquery("hits")).subquery("placed")
    found = sa.select(_GATHERED).select_from(placed).group_by(sa.text("recording_id"))
    listed = found.subquery("found").join(_RECORDINGS, _OF_FOUND)
    page = sa.select(sa.text("*")).select_from(
        sa.select(_TOLD[sort]).select_from(listed).subquery("told")
    )
    page = page.order_by(sa.text("sort_key desc, recording_id desc")).limit(limit)
    values: dict[str, object] = {}
    if after is not None and after.score is not None:
        page = page.where(_AFTER)
        values = {"score": after.score, "recording_id": after.recording_id}
    rows: Sequence[sa.Row[Any]] = (await session.execute(page, values)).all()
    return rows


def _looked_up(asked: TsQuery, reach: Reach) -> sa.Select[Any]:
    """The newest that the caller may hear of all that the index has.

    In steps which PostgreSQL must not mix: it would ask the index once for each room, and for
    each cue's speaker before it knows which cues are the newest.
    """
    matches = (
        sa.select(SearchedCue)
        .where(matching(asked.matches), reach.of_language)
        .cte("matches")
        .prefix_with("materialized")
    )
    cue = aliased(SearchedCue, matches)
    audible = (
        sa.select(cue, Room.live_at)
        .join(Room, Room.recording_id == cue.recording_id)
        .where(reach.audible)
        .order_by(Room.live_at.desc())
        .offset(0)
        .subquery("audible")
    )
    heard = aliased(SearchedCue, audible)
    newest = _hits(heard, asked).where(reach.of_speaker(heard)).order_by(audible.c.live_at.desc())
    return newest.fetch(reach.effort.enough_matches, with_ties=True)


def _read(asked: TsQuery, reach: Reach, recordings: Sequence[UUID]) -> sa.Select[Any]:
    """Whatever matches in these recordings, without the index: `is true` hides it."""
    return _hits(SearchedCue, asked).where(
        SearchedCue.recording_id == sa.any_(sa.literal(list(recordings), sa.ARRAY(sa.Uuid()))),
        matching(asked.matches).is_(sa.true()),
        reach.of_language,
        reach.of_speaker(SearchedCue),
    )


def _hits(cue: type[SearchedCue], asked: TsQuery) -> sa.Select[Any]:
    rank = sa.func.ts_rank_cd(cue.vector, sa.cast(asked.ranks, TSQUERY))
    return sa.select(cue.cue_id, cue.recording_id, cue.start_ms, rank.label("rank"))


_PLACED: Final = sa.text(
    "*, row_number() over (partition by recording_id order by rank desc, start_ms, cue_id) as place"
)
_GATHERED: Final = sa.text(
    "recording_id, count(*) as matches, max(rank) * (1 + ln(count(*))) as score,"
    f" array_agg(cue_id order by place) filter (where place <= {BEST_MOMENTS}) as best"
)
_TOLD: Final = {
    sort: sa.text(
        f"found.recording_id, matches, best, {key} as sort_key, count(*) over () as all_recordings,"
        " sum(matches) over () as all_matches, min(live_at) over () as oldest"
    )
    for sort, key in {Sort.RELEVANCE: "score", Sort.DATE: "live_at"}.items()
}
_RECORDINGS: Final = SearchedRecording.__table__
_OF_FOUND: Final = sa.text("transcript_searched.recording_id = found.recording_id")
_AFTER: Final = sa.text("(sort_key, recording_id) < (:score, :recording_id)").bindparams(
    sa.bindparam("score", type_=sa.Double()), sa.bindparam("recording_id", type_=sa.Uuid())
)
