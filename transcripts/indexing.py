"""Makes a recording's published cues findable, in the transaction that publishes them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, pairwise
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from rooms.models import Participant, Room
from transcripts.folding import fold
from transcripts.index_models import SearchedCue, SearchedRecording, Stem
from transcripts.languages import base_language, searched_language
from transcripts.models import Cue
from transcripts.stemming import PLATFORM_KEY, Lexemes, lexemes_of, neighbors, next_cues
from transcripts.tags import tags_of

SEAM_WORDS: Final = 8
"""Of a speaker's next cue: a phrase of one more is found wherever it was cut in two."""

SEAM_MS: Final = 10_000
"""A longer pause than this ends what somebody says."""

MOST_WORDS: Final = 2_000
"""Of one cue; PostgreSQL counts positions up to 16,383."""


_NEW = insert(SearchedCue)
_PUT: Final = _NEW.on_conflict_do_update(
    index_elements=[SearchedCue.cue_id],
    set_={"language": _NEW.excluded.language, "vector": _NEW.excluded.vector},
    where=(SearchedCue.vector != _NEW.excluded.vector)
    | (SearchedCue.language != _NEW.excluded.language),
)
"""A cue's speaker and beginning stay while it has its id; unchanged rows are not written."""


@dataclass(frozen=True, slots=True)
class Said:
    """A cue's words, then the first ones of its speaker's next cue."""

    language: str
    own: tuple[str, ...]
    seam: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        return self.own + self.seam

    def vector(self, lexemes: Lexemes, tags: Iterable[str]) -> str:
        """As PostgreSQL writes a tsvector: `'en.boat':3A '~en.boat':15`; without places the tags
        and each own word with its neighbor."""
        places: dict[str, list[str]] = {}
        known = [lexemes[self.language, word] for word in self.words]
        for position, lexeme in enumerate(known, start=1):
            if lexeme is not None and position <= len(self.own):
                places.setdefault(lexeme, []).append(f"{position}A")
            elif lexeme is not None:
                places.setdefault(next_cues(lexeme), []).append(str(position))
        said = (f"'{lexeme}':{','.join(at)}" for lexeme, at in places.items())
        beside = pairwise(known[: len(self.own) + 1])
        pairs = {neighbors(first, second) for first, second in beside if first and second}
        return " ".join((*said, *(f"'{one}'" for one in (*tags, *pairs))))


async def index(session: AsyncSession, recording_id: UUID, *, of: UUID | None = None) -> None:
    """Makes what can be found of the recording its cues as they are now.

    Cues that were deleted have taken their rows along; those that are as they were stay. `of`:
    the only participant whose cues have changed.
    """
    count = sa.select(sa.func.count()).where(Cue.recording_id == recording_id)
    total = (await session.execute(count)).scalar_one()
    if not total:
        await remove(session, recording_id)
        return
    live_at = await _put_head(session, recording_id, total)
    said = list(_said(await _cues(session, recording_id, of)))
    if not said:
        return
    platform_id = said[0][0].platform_id
    words = {(s.language, word) for _, s in said for word in s.words}
    lexemes = await lexemes_of(session, platform_id, words)
    tags = await _tags(session, recording_id)
    rows = [_row(cue, live_at, s.vector(lexemes, tags[cue.participant_id])) for cue, s in said]
    await session.execute(_PUT, rows)
    await _remember_stems(session, platform_id, lexemes)


async def remove(session: AsyncSession, recording_id: UUID) -> None:
    """Nothing of the recording is found from here on."""
    for table in (SearchedCue, SearchedRecording):
        await session.execute(
            sa.delete(table)
            .where(table.recording_id == recording_id)
            .execution_options(synchronize_session=False)
        )


async def _cues(
    session: AsyncSession, recording_id: UUID, participant_id: UUID | None
) -> Sequence[Cue]:
    query = (
        sa.select(Cue)
        .where(Cue.recording_id == recording_id)
        .order_by(Cue.participant_id, Cue.start_ms, Cue.id)
    )
    if participant_id is not None:
        query = query.where(Cue.participant_id == participant_id)
    return (await session.scalars(query)).all()


async def _tags(session: AsyncSession, recording_id: UUID) -> dict[UUID, list[str]]:
    """By participant."""
    query = (
        sa.select(Participant.id, Room.platform_id, Participant.user_id, Room.live_at)
        .join(Room, Room.id == Participant.room_id)
        .where(Room.recording_id == recording_id)
    )
    rows = (await session.execute(query)).all()
    return {one.id: tags_of(one.platform_id, one.user_id, one.live_at) for one in rows}


def _said(cues: Iterable[Cue]) -> Iterator[tuple[Cue, Said]]:
    for _, of_one in groupby(cues, key=lambda cue: cue.participant_id):
        folded = [(cue, tuple(token.word for token in fold(cue.text))) for cue in of_one]
        for (cue, own), following in zip(folded, [*folded[1:], None], strict=True):
            seam: tuple[str, ...] = ()
            if following is not None and following[0].start_ms - cue.end_ms <= SEAM_MS:
                seam = following[1][:SEAM_WORDS]
            yield cue, Said(searched_language(cue.language), own[:MOST_WORDS], seam)


def _row(cue: Cue, live_at: datetime, vector: str) -> dict[str, object]:
    return {
        "cue_id": cue.id,
        "recording_id": cue.recording_id,
        "participant_id": cue.participant_id,
        "live_at": live_at,
        "start_ms": cue.start_ms,
        "language": base_language(cue.language),
        "vector": vector,
    }


async def _put_head(session: AsyncSession, recording_id: UUID, cues: int) -> datetime:
    """When the room went live."""
    room = sa.select(
        sa.literal(recording_id), Room.id, Room.platform_id, Room.live_at, sa.literal(cues)
    ).where(Room.recording_id == recording_id)
    columns = ["recording_id", "room_id", "platform_id", "live_at", "cues"]
    put = insert(SearchedRecording).from_select(columns, room)
    put = put.on_conflict_do_update(index_elements=["recording_id"], set_={"cues": cues})
    live_at = await session.execute(put.returning(SearchedRecording.live_at))
    return live_at.scalar_one()


async def _remember_stems(session: AsyncSession, platform_id: UUID, lexemes: Lexemes) -> None:
    """In one order, so that two recordings never wait for each other in a circle.

    Stems that are there already must stay until the cue that says them again is committed.
    """
    stems = {(x, one.partition(".")[2]) for (x, _), one in lexemes.items() if one}
    rows = [{"platform_id": platform_id, "language": x, "stem": stem} for x, stem in sorted(stems)]
    if rows:
        await session.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(_STEMS)))
        await session.execute(insert(Stem).on_conflict_do_nothing(), rows)


async def forget_unsaid_stems(session: AsyncSession, *, parts: int = 24) -> int:
    """Deletes what is in no cue any more; returns how many.

    Called each hour it looks at one of `parts` of them, in turn; at none while somebody
    publishes, whose cues it could not see yet.
    """
    if not await session.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(_STEMS))):
        return 0
    done = await session.execute(_FORGET, {"parts": parts})
    return int(done.rowcount)  # type: ignore[attr-defined] # a DELETE's result has it


_STEMS: Final = 0x656E_636F_7265_7374
"""The advisory lock that publishing shares, and forgetting has to itself."""

_FORGET: Final = sa.text(
    f"""
    delete from transcript_stem s
    where mod(hashtext(stem) & 2147483647, :parts)
        = mod(cast(extract(hour from now()) as int), :parts)
    and not exists (
        select from transcript_searched_cue
        where vector @@ cast(quote_literal({PLATFORM_KEY} || language || '.' || stem) as tsquery)
    )
    """  # noqa: S608 - of constants
).bindparams(sa.bindparam("parts", type_=sa.Integer()))
