"""What was found, as people read it: the text with what matched, who said it, and when."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from core.statements import ask
from transcripts.folding import spans
from transcripts.highlights import Piece, Sought, found_positions, marked, sought_in, spans_of
from transcripts.indexing import SEAM_MS
from transcripts.languages import searched_language
from transcripts.query import Query
from transcripts.stemming import Vocabulary


@dataclass(frozen=True, slots=True)
class Moment:
    """`start_ms`: of the first word that matched, on the room's clock."""

    start_ms: int
    end_ms: int
    participant_id: UUID
    user_id: UUID
    speaker: str
    language: str
    pieces: list[Piece]


@dataclass(frozen=True, slots=True)
class FoundRoom:
    """What is told of a room in which something was found."""

    id: UUID
    title: str
    host_id: UUID
    topics: list[str]
    live_at: datetime
    duration_ms: int | None


@dataclass(frozen=True, slots=True)
class FoundRecording:
    """`moments`: the best ones. `matches`: how many cues there were."""

    recording_id: UUID
    room: FoundRoom
    host_name: str
    matches: int
    moments: list[Moment]


async def describe(
    connection: asyncpg.Connection,
    rows: Sequence[asyncpg.Record],
    query: Query,
    words: Vocabulary,
) -> list[FoundRecording]:
    """Of the rows of `transcripts.ranking`, in their order."""
    cues = await _load(connection, [cue_id for row in rows for cue_id in row["best"]], query)
    wanted = {x: sought_in(query, x, words) for x in words.languages}
    found: list[FoundRecording] = []
    for row in rows:
        loaded = (cues[cue_id] for cue_id in row["best"] if cue_id in cues)
        moments = [_moment(cue, wanted[searched_language(cue["language"])]) for cue in loaded]
        if moments:
            found.append(_recording(row, moments))
    return found


def _recording(row: asyncpg.Record, moments: list[Moment]) -> FoundRecording:
    room = FoundRoom(
        row["room_id"],
        row["title"],
        row["host_id"],
        row["topics"],
        row["live_at"],
        row["duration_ms"],
    )
    return FoundRecording(row["recording_id"], room, row["host"], row["matches"], moments)


async def _load(
    connection: asyncpg.Connection, cue_ids: Sequence[UUID], query: Query
) -> Mapping[UUID, asyncpg.Record]:
    if not cue_ids:
        return {}
    values = {"cue_ids": cue_ids, "seams": query.reaches_over}
    return {row["id"]: row for row in await ask(connection, _LOADED, values)}


_LOADED: Final = f"""
    select
        cue.id, cue.participant_id, cue.start_ms, cue.end_ms, cue.language, cue.text,
        cast(cue.words as text) as words, cast(searched.vector as text) as vector,
        participant.user_id, coalesce(called.name, participant.display_name) as speaker,
        case when cast(:seams as boolean) then (
            select following.text from transcript_cue as following
            where following.recording_id = cue.recording_id
            and following.participant_id = cue.participant_id
            and following.start_ms > cue.start_ms
            and following.start_ms <= cue.end_ms + {SEAM_MS}
            order by following.start_ms, following.id
            limit 1
        ) end as following
    from transcript_cue as cue
    join transcript_searched_cue as searched on searched.cue_id = cue.id
    join participant on participant.id = cue.participant_id
    left join transcript_speaker_name as called
        on called.recording_id = cue.recording_id and called.participant_id = cue.participant_id
    where cue.id = any(:cue_ids)
"""  # noqa: S608 - of constants
"""`following`: what the speaker says next, whose first words were indexed with the cue."""


def _moment(row: asyncpg.Record, wanted: Sequence[Sequence[Sought]]) -> Moment:
    text, following = _in_one_line(row["text"]), row["following"]
    words = spans(text)
    found = found_positions(wanted, row["vector"], own=len(words))
    own = spans_of(words, found)
    pieces = marked(text, own)
    if following and max(found, default=0) > len(words):
        further = spans_of(spans(following), found, before=len(words))
        pieces += [Piece(" ", match=False), *marked(_in_one_line(following), further)]
    return Moment(
        start_ms=_time_at(row, own[0][0]) if own else row["start_ms"],
        end_ms=row["end_ms"],
        participant_id=row["participant_id"],
        user_id=row["user_id"],
        speaker=row["speaker"],
        language=row["language"],
        pieces=pieces,
    )


def _in_one_line(text: str) -> str:
    """Cues are broken for captions. Every character keeps its place."""
    return text.replace("\n", " ")


def _time_at(row: asyncpg.Record, place: int) -> int:
    """When the word was spoken that stands there; the cue's beginning if its words differ."""
    before = row["text"][:place]
    at = len(before.split()) - bool(before and not before[-1].isspace())
    words = json.loads(row["words"])
    same = len(words) == len(row["text"].split())
    return int(words[at][0] if same else row["start_ms"])
