"""Recordings in which things were said, made findable: what searches are tried on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from core.ids import uuid7
from ingest.models import IngestWorker, Recording, RecordingStatus
from rooms.models import Participant, Role, Room, RoomState
from tests.rooms.conftest import House
from transcripts.indexing import index
from transcripts.models import Cue
from transcripts.query import parse
from transcripts.reach import Filters
from transcripts.search import Found, Wanted, search

FIRST_LIVE_AT = datetime(2026, 1, 1, tzinfo=UTC)
WORD_MS = 400


@dataclass
class Archive:
    """One house's recordings. Each one begins an hour after the one before."""

    house: House
    worker: IngestWorker
    made: list[UUID] = field(default_factory=list)

    @property
    def session(self) -> AsyncSession:
        return self.house.session

    async def recording(self, *lines: str, language: str = "en", **room: Any) -> Room:
        """A room in which one speaker says these lines, one after the other."""
        made = await self.room(**room)
        await self.say(made, await self.speaker(made), lines, language=language)
        return made

    async def room(self, **values: Any) -> Room:
        live_at = FIRST_LIVE_AT + timedelta(hours=len(self.made))
        defaults = {
            "state": RoomState.ENDED,
            "live_at": live_at,
            "ended_at": live_at + timedelta(minutes=30),
            "duration_ms": 1_800_000,
            "recording_id": uuid7(),
        }
        room = await self.house.bare_room(**defaults | values)
        assert room.recording_id is not None
        self.made.append(room.recording_id)
        self.session.add(
            Recording(
                id=room.recording_id,
                room_id=room.id,
                platform_id=room.platform_id,
                worker_id=self.worker.id,
                epoch=1,
                status=RecordingStatus.STORED,
                live_at=room.live_at,
            )
        )
        await self.session.flush()
        return room

    async def speaker(
        self, room: Room, name: str = "Ada", user_id: UUID | None = None
    ) -> Participant:
        who = user_id or (await self.house.user(name)).user_id
        participant = Participant(
            room_id=room.id,
            user_id=who,
            display_name=name,
            role=Role.SPEAKER,
            joined_at=room.live_at,
            consented_at=room.live_at,
        )
        self.session.add(participant)
        await self.session.flush()
        return participant

    async def say(
        self,
        room: Room,
        who: Participant,
        lines: Sequence[str],
        *,
        language: str = "en",
        start_ms: int = 0,
    ) -> list[Cue]:
        """Each line is a cue; a word lasts 400 ms."""
        cues = []
        for line in lines:
            words = line.split()
            starts = range(start_ms, start_ms + WORD_MS * len(words), WORD_MS)
            end_ms = start_ms + WORD_MS * len(words)
            cues.append(
                Cue(
                    recording_id=room.recording_id,
                    room_id=room.id,
                    platform_id=room.platform_id,
                    participant_id=who.id,
                    start_ms=start_ms,
                    end_ms=end_ms,
                    language=language,
                    text=line,
                    words=[
                        [at, at + 300, word, 0.9] for at, word in zip(starts, words, strict=True)
                    ],
                    confidence=0.9,
                )
            )
            start_ms = end_ms
        self.session.add_all(cues)
        await self.publish(room)
        return cues

    async def publish(self, room: Room) -> None:
        await self.session.flush()
        assert room.recording_id is not None
        await index(self.session, room.recording_id)

    async def find(self, text: str, principal: Principal | None = None, **wanted: Any) -> Found:
        filters = Filters(**{k: wanted.pop(k) for k in list(wanted) if k in _FILTERS})
        query = parse(text, prefix=wanted.pop("prefix", False))
        return await search(
            self.session,
            principal=principal or self.house.stranger,
            wanted=Wanted(text, query, filters, **wanted),
        )

    async def lines(self, text: str, principal: Principal | None = None, **wanted: Any) -> set[str]:
        """What is found, with `[` and `]` around matches."""
        return lines_of(await self.find(text, principal, **wanted))

    async def analyze(self) -> None:
        """So that PostgreSQL knows what is common."""
        await self.session.execute(sa.text("analyze transcript_searched_cue"))


_FILTERS = frozenset(Filters.__dataclass_fields__)


def lines_of(found: Found) -> set[str]:
    return {
        "".join(f"[{piece.text}]" if piece.match else piece.text for piece in moment.pieces)
        for one in found.recordings
        for moment in one.moments
    }


async def make_archive(house: House) -> Archive:
    worker = IngestWorker(whip_url="http://w", started_at=FIRST_LIVE_AT, heartbeat_at=FIRST_LIVE_AT)
    house.session.add(worker)
    await house.session.flush()
    return Archive(house, worker)
