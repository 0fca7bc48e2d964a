"""What was found, as people read it: the text with what matched, who said it, and when."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from rooms.models import Participant
from transcripts.folding import fold
from transcripts.highlights import Piece, Places, found_positions, marked, places_of, spans_of
from transcripts.index_models import SearchedCue
from transcripts.indexing import SEAM_MS
from transcripts.languages import searched_language
from transcripts.models import Cue, SpeakerName
from transcripts.query import Query
from transcripts.stemming import Lexemes

_SPOKEN: Final = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Moment:
    """`start_ms`: of the first word that matched, on the room's clock."""

    start_ms: int
    end_ms: int
    participant_id: UUID
    speaker: str
    language: str
    pieces: list[Piece]


async def load_moments(
    session: AsyncSession, cue_ids: Collection[UUID], query: Query, lexemes: Lexemes
) -> dict[UUID, Moment]:
    """By cue."""
    if not cue_ids:
        return {}
    following = aliased(Cue)
    goes_on = (
        sa.select(following.text)
        .where(
            following.recording_id == Cue.recording_id,
            following.participant_id == Cue.participant_id,
            following.start_ms > Cue.start_ms,
            following.start_ms <= Cue.end_ms + SEAM_MS,
        )
        .order_by(following.start_ms, following.id)
        .limit(1)
        .scalar_subquery()
    )
    name = sa.func.coalesce(SpeakerName.name, Participant.display_name)
    renamed = sa.and_(
        SpeakerName.recording_id == Cue.recording_id,
        SpeakerName.participant_id == Cue.participant_id,
    )
    rows = await session.execute(
        sa.select(Cue, name, sa.cast(SearchedCue.vector, sa.Text), goes_on)
        .join(SearchedCue, SearchedCue.cue_id == Cue.id)
        .join(Participant, Participant.id == Cue.participant_id)
        .outerjoin(SpeakerName, renamed)
        .where(Cue.id.in_(cue_ids))
    )
    return {
        cue.id: _moment(cue, speaker, places_of(vector), later or "", query, lexemes)
        for cue, speaker, vector, later in rows
    }


def _moment(
    cue: Cue, speaker: str, places: Places, later: str, query: Query, lexemes: Lexemes
) -> Moment:
    language, own_words = searched_language(cue.language), len(fold(cue.text))
    found = found_positions(query, language, lexemes, places, own=own_words)
    own = spans_of(cue.text, found)
    further = spans_of(later, found, before=own_words)
    pieces = marked(cue.text, own)
    if further:
        pieces += [Piece(" ", match=False), *marked(later, further)]
    return Moment(
        start_ms=_time_at(cue, own[0].start) if own else cue.start_ms,
        end_ms=cue.end_ms,
        participant_id=cue.participant_id,
        speaker=speaker,
        language=cue.language,
        pieces=pieces,
    )


def _time_at(cue: Cue, place: int) -> int:
    """When the word was spoken that stands there; the cue's beginning if its words differ."""
    ends = [spoken.end() for spoken in _SPOKEN.finditer(cue.text)]
    at = sum(end <= place for end in ends)
    return int(cue.words[at][0]) if at < len(cue.words) == len(ends) else cue.start_ms
