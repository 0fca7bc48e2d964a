"""The corpus in a PostgreSQL of its own, as publishing would have left it, loaded in bulk.

Of the recordings 1 % are public, 49 % belong to one group and 50 % to another: a stranger sees
1 %, a member of the first 50 %, of both all.
"""

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Final
from uuid import UUID

import asyncpg
import numpy as np
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from bench.search_corpus import CUES_A_RECORDING, SPEAKERS, MadeCue
from core.auth.principal import Principal
from core.db import Base, Database, dsn
from core.ids import uuid7
from core.migrate import upgrade
from ingest.models import IngestWorker, Recording
from rooms.groups import create_group
from rooms.models import GroupMember, Participant, Room
from tests.rooms.conftest import House, make_house
from transcripts.index_models import SearchedRecording
from transcripts.indexing import SEAM_WORDS, Said
from transcripts.stemming import Lexemes, lexemes_of
from transcripts.tags import tags_of

FIRST_LIVE_AT: Final = datetime(2020, 1, 1, tzinfo=UTC)
PUBLIC_SHARE, FIRST_GROUP_SHARE = 0.01, 0.49

SPEAKING: Final = 40
PORTION: Final = 20_000
_TABLES: Final = ("transcript_cue", "transcript_searched_cue")


@dataclass(frozen=True, slots=True)
class Archive:
    """Callers by the percentage that they may hear; speakers' users; the lexemes of all words."""

    callers: dict[str, Principal]
    speakers: list[UUID]
    lexemes: Lexemes


Also = Callable[[list[MadeCue], Lexemes], None]


class _Ids:
    """UUIDs in order, as the application makes them one after the other."""

    def __init__(self) -> None:
        self._next = uuid7().int

    def take(self, count: int) -> list[UUID]:
        first, self._next = self._next, self._next + count * 2**20
        return [UUID(int=first + at * 2**20) for at in range(count)]


async def load(
    url: str, cues: Iterable[MadeCue], recordings: int, seed: int, also: Also
) -> Archive:
    """Puts everything in place; `also` gets each portion with its words' lexemes."""
    await upgrade(url)
    ids = _Ids()
    rooms, recording_ids = ids.take(recordings), ids.take(recordings)
    people = ids.take(recordings * SPEAKERS)
    database = Database(url)
    async with database.transaction() as session:
        house = await make_house(session)
        callers, groups = await _callers(session, house)
        speakers = [(await house.user(f"Speaker {n}")).user_id for n in range(SPEAKING)]
        for table, rows in _rows(house, groups, rooms, recording_ids, people, speakers, seed):
            await session.execute(sa.insert(table), rows)
    connection = await asyncpg.connect(dsn(url))
    said_by = [speaker for speaker in speakers if speaker]
    made = _Made(house.platform.id, rooms, recording_ids, people, said_by, ids)
    lexemes = await _copy(database, connection, made, cues, also)
    await connection.close()
    await database.close()
    return Archive(callers, said_by, lexemes)


async def _callers(
    session: AsyncSession, house: House
) -> tuple[dict[str, Principal], dict[str, UUID]]:
    first = await create_group(session, principal=house.hosting, name="First")
    second = await create_group(session, principal=house.hosting, name="Second")
    half, whole = await house.user("Half"), await house.user("Whole")
    for group, member in ((first, half), (first, whole), (second, whole)):
        session.add(GroupMember(group_id=group.id, user_id=member.user_id))
    await session.flush()
    return {"1": house.stranger, "50": half, "100": whole}, {"first": first.id, "second": second.id}


def _rows(
    house: House,
    groups: dict[str, UUID],
    rooms: list[UUID],
    recordings: list[UUID],
    people: list[UUID],
    speakers: list[UUID | None],
    seed: int,
) -> Iterator[tuple[type[Base], list[dict[str, Any]]]]:
    count = len(rooms)
    audiences = audiences_of(count, seed)
    live = [FIRST_LIVE_AT + timedelta(hours=at) for at in range(count)]
    worker = uuid7()
    yield (
        IngestWorker,
        [{"id": worker, "whip_url": "http://w", "started_at": live[0], "heartbeat_at": live[0]}],
    )
    yield (
        Room,
        [
            {
                "id": room,
                "platform_id": house.platform.id,
                "host_id": house.host.id,
                "title": f"Room {at}",
                "topics": [f"topic-{at % 20}"],
                "visibility": "public" if audiences[at] == "public" else "group",
                "group_id": groups.get(audiences[at]),
                "state": "ended",
                "live_at": live[at],
                "ended_at": live[at] + timedelta(minutes=20),
                "duration_ms": 1_200_000,
                "recording_id": recordings[at],
            }
            for at, room in enumerate(rooms)
        ],
    )
    yield (
        Recording,
        [
            {
                "id": recordings[at],
                "room_id": room,
                "platform_id": house.platform.id,
                "worker_id": worker,
                "epoch": 1,
                "live_at": live[at],
            }
            for at, room in enumerate(rooms)
        ],
    )
    yield (
        Participant,
        [
            {
                "id": person,
                "room_id": rooms[at // SPEAKERS],
                "user_id": speakers[(at // SPEAKERS * 7 + at % SPEAKERS) % SPEAKING],
                "display_name": f"Speaker {at % SPEAKERS}",
                "role": "speaker",
                "joined_at": live[at // SPEAKERS],
                "consented_at": live[at // SPEAKERS],
            }
            for at, person in enumerate(people)
        ],
    )
    yield (
        SearchedRecording,
        [
            {
                "recording_id": recordings[at],
                "room_id": room,
                "platform_id": house.platform.id,
                "live_at": live[at],
                "cues": CUES_A_RECORDING,
            }
            for at, room in enumerate(rooms)
        ],
    )


def audiences_of(recordings: int, seed: int) -> list[str]:
    """Who may hear each recording."""
    shares = (np.random.default_rng(seed).permutation(recordings) + 0.5) / recordings
    first = PUBLIC_SHARE + FIRST_GROUP_SHARE
    return ["public" if s < PUBLIC_SHARE else "first" if s < first else "second" for s in shares]


def speaker_of(cue: MadeCue) -> int:
    """One of SPEAKING people, who turn up in many recordings."""
    return (cue.recording * 7 + cue.speaker) % SPEAKING


def live_at_of(cue: MadeCue) -> datetime:
    return FIRST_LIVE_AT + timedelta(hours=cue.recording)


@dataclass(frozen=True, slots=True)
class _Made:
    platform_id: UUID
    rooms: list[UUID]
    recordings: list[UUID]
    people: list[UUID]
    speakers: list[UUID]
    ids: _Ids

    def tags_of(self, cue: MadeCue) -> list[str]:
        return tags_of(self.platform_id, self.speakers[speaker_of(cue)], live_at_of(cue))


async def _copy(
    database: Database,
    connection: asyncpg.Connection,
    made: _Made,
    cues: Iterable[MadeCue],
    also: Also,
) -> Lexemes:
    """In portions; without indexes and triggers, which are made and checked at the end."""
    indexes = await _drop_indexes(connection)
    await connection.execute("set session_replication_role = replica")
    known: dict[tuple[str, str], str | None] = {}
    for portion in batched(cues, PORTION):
        ids = made.ids.take(len(portion))
        said = [*said_by(portion)]
        new = {(s.language, w) for s in said for w in s.words} - known.keys()
        async with database.transaction() as session:
            known.update(await lexemes_of(session, made.platform_id, new))
        await _copy_cues(connection, made, portion, ids)
        tagged = zip(said, map(made.tags_of, portion), strict=True)
        await _copy_vectors(connection, made, portion, ids, [s.vector(known, t) for s, t in tagged])
        also(portion, known)
    stems = {(made.platform_id, x, one.partition(".")[2]) for (x, _), one in known.items() if one}
    await connection.copy_records_to_table("transcript_stem", records=sorted(stems))
    await connection.execute("set maintenance_work_mem = '512MB'")
    for statement in indexes:
        await connection.execute(statement)
    for table in _TABLES:
        await connection.execute(f"vacuum (analyze) {table}")
    await connection.execute("analyze")
    await connection.execute("checkpoint")
    return known


async def _drop_indexes(connection: asyncpg.Connection) -> list[str]:
    """And how to make them again; those of constraints stay."""
    rows = await connection.fetch(
        "select indexname, indexdef from pg_indexes where tablename = any($1)"
        " and indexname like 'ix_%'",
        [*_TABLES, "transcript_stem"],
    )
    for row in rows:
        await connection.execute(f"drop index {row['indexname']}")
    return [row["indexdef"] for row in rows]


def batched(cues: Iterable[MadeCue], size: int) -> Iterator[list[MadeCue]]:
    """Whole recordings together."""
    for _, portion in groupby(cues, key=lambda cue: cue.number // size):
        yield list(portion)


def said_by(cues: list[MadeCue]) -> Iterator[Said]:
    """With what each speaker goes on to say, when that is the next cue."""
    for cue, following in zip(cues, [*cues[1:], None], strict=True):
        seam: tuple[str, ...] = ()
        if following and (following.recording, following.speaker) == (cue.recording, cue.speaker):
            seam = following.words[:SEAM_WORDS]
        yield Said(cue.language, cue.words, seam)


async def _copy_cues(
    connection: asyncpg.Connection, made: _Made, cues: list[MadeCue], ids: list[UUID]
) -> None:
    columns = (
        "id recording_id room_id platform_id participant_id start_ms end_ms language text words"
        " confidence"
    )
    records = (
        (
            cue_id,
            made.recordings[cue.recording],
            made.rooms[cue.recording],
            made.platform_id,
            made.people[cue.recording * SPEAKERS + cue.speaker],
            cue.start_ms,
            cue.start_ms + 3_800,
            cue.language,
            " ".join(cue.words),
            _timed(cue),
            0.9,
        )
        for cue_id, cue in zip(ids, cues, strict=True)
    )
    await connection.copy_records_to_table(
        "transcript_cue", records=records, columns=columns.split()
    )


async def _copy_vectors(
    connection: asyncpg.Connection,
    made: _Made,
    cues: list[MadeCue],
    ids: list[UUID],
    vectors: list[str],
) -> None:
    columns = "cue_id recording_id participant_id live_at start_ms language vector"
    lines = (
        "\t".join(
            (
                str(cue_id),
                str(made.recordings[cue.recording]),
                str(made.people[cue.recording * SPEAKERS + cue.speaker]),
                str(live_at_of(cue)),
                str(cue.start_ms),
                cue.language,
                vector,
            )
        )
        for cue_id, cue, vector in zip(ids, cues, vectors, strict=True)
    )
    await connection.copy_to_table(
        "transcript_searched_cue",
        source=io.BytesIO("\n".join(lines).encode()),
        columns=columns.split(),
    )


def _timed(cue: MadeCue) -> str:
    """The words as JSON, one every 300 ms."""
    at = cue.start_ms
    words = (
        f'[{at + 300 * n},{at + 300 * n + 280},"{word}",0.9]' for n, word in enumerate(cue.words)
    )
    return f"[{','.join(words)}]"
