"""What was found, as people read it: the text with what matched, who said it, and when."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from core.auth.models import User
from rooms.models import Participant, Room
from transcripts.folding import fold
from transcripts.highlights import Piece, found_positions, marked, places_of, spans_of
from transcripts.index_models import SearchedCue
from transcripts.indexing import SEAM_MS
from transcripts.languages import searched_language
from transcripts.models import Cue, SpeakerName
from transcripts.query import Query
from transcripts.stemming import Vocabulary


@dataclass(frozen=True, slots=True)
class Moment:
    """`start_ms`: of the first word that matched, on the room's clock."""

    start_ms: int
    end_ms: int
    participant_id: UUID
    speaker: str
    language: str
    pieces: list[Piece]


@dataclass(frozen=True, slots=True)
class FoundRecording:
    """`moments`: the best ones. `matches`: how many cues there were."""

    recording_id: UUID
    room: Room
    host_name: str
    matches: int
    moments: list[Moment] = field(default_factory=list)


async def describe(
    session: AsyncSession, rows: Sequence[sa.Row[Any]], query: Query, words: Vocabulary
) -> list[FoundRecording]:
    """Of the rows of `transcripts.ranking`, in their order."""
    cues = await _load(session, [cue_id for row in rows for cue_id in row.best])
    found: dict[UUID, FoundRecording] = {}
    for row in rows:
        for loaded in (cues[cue_id] for cue_id in row.best if cue_id in cues):
            one = found.setdefault(
                row.recording_id,
                FoundRecording(row.recording_id, loaded.Room, loaded.host, row.matches),
            )
            one.moments.append(_moment(loaded, query, words))
    return list(found.values())


async def _load(session: AsyncSession, cue_ids: Sequence[UUID]) -> Mapping[UUID, sa.Row[Any]]:
    rows: Iterable[Any] = ()
    if cue_ids:
        rows = await session.execute(_LOADED, {"cue_ids": list(cue_ids)})
    return {row.id: row for row in rows}


def _following_text() -> sa.ScalarSelect[str]:
    """Of the speaker's next cue, whose first words were indexed with this one."""
    following = aliased(Cue)
    return (
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


_LOADED: Final = (
    sa.select(
        Cue.id,
        Cue.participant_id,
        Cue.start_ms,
        Cue.end_ms,
        Cue.language,
        Cue.text,
        Cue.words,
        Room,
        User.display_name.label("host"),
        sa.func.coalesce(SpeakerName.name, Participant.display_name).label("speaker"),
        sa.cast(SearchedCue.vector, sa.Text).label("vector"),
        _following_text().label("following"),
    )
    .join(SearchedCue, SearchedCue.cue_id == Cue.id)
    .join(Room, Room.id == Cue.room_id)
    .join(User, User.id == Room.host_id)
    .join(Participant, Participant.id == Cue.participant_id)
    .outerjoin(
        SpeakerName,
        sa.and_(
            SpeakerName.recording_id == Cue.recording_id,
            SpeakerName.participant_id == Cue.participant_id,
        ),
    )
    .where(Cue.id == sa.any_(sa.bindparam("cue_ids", type_=sa.ARRAY(sa.Uuid()))))
)


def _moment(row: sa.Row[Any], query: Query, words: Vocabulary) -> Moment:
    text, language = _in_one_line(row.text), searched_language(row.language)
    tokens = fold(text)
    found = found_positions(query, language, words, places_of(row.vector), own=len(tokens))
    own = spans_of(tokens, found)
    pieces = marked(text, own)
    if row.following and max(found, default=0) > len(tokens):
        further = spans_of(fold(row.following), found, before=len(tokens))
        pieces += [Piece(" ", match=False), *marked(_in_one_line(row.following), further)]
    return Moment(
        start_ms=_time_at(row, own[0].start) if own else row.start_ms,
        end_ms=row.end_ms,
        participant_id=row.participant_id,
        speaker=row.speaker,
        language=row.language,
        pieces=pieces,
    )


def _in_one_line(text: str) -> str:
    """Cues are broken for captions. Every character keeps its place."""
    return text.replace("\n", " ")


def _time_at(row: sa.Row[Any], place: int) -> int:
    """When the word was spoken that stands there; the cue's beginning if its words differ."""
    before = row.text[:place]
    at = len(before.split()) - bool(before and not before[-1].isspace())
    same = len(row.words) == len(row.text.split())
    return int(row.words[at][0]) if same else int(row.start_ms)
