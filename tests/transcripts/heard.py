"""A recording with what a model heard in it: rows as a run leaves them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import User
from core.ids import uuid7
from ingest.models import IngestWorker, Recording, RecordingStatus
from rooms.models import Participant, Role, Room
from tests.rooms.conftest import House
from transcripts.models import Cue, Run, RunStatus, RunTrack, Transcript, Window
from transcripts.publication import publish
from transcripts.words import Word

LIVE_AT = datetime(2026, 11, 21, 21, tzinfo=UTC)
WORD_MS = 400


def spoken(text: str, start_ms: int = 0, *, confidence: float = 0.9) -> list[Word]:
    """A word every 400 ms, each 300 ms long."""
    starts = range(start_ms, start_ms + WORD_MS * len(text.split()), WORD_MS)
    return [
        Word(at, at + 300, word, confidence) for at, word in zip(starts, text.split(), strict=True)
    ]


@dataclass
class Heard:
    """An ended room of `house` with a stored recording."""

    house: House
    room: Room
    recording: Recording
    people: dict[str, tuple[User, Participant]] = field(default_factory=dict)

    @property
    def session(self) -> AsyncSession:
        return self.house.session

    async def speaker(self, name: str, role: Role = Role.SPEAKER) -> Participant:
        user = self.house.host if role is Role.HOST else None
        if user is None:
            principal = await self.house.user(name)
            user = await self.session.get_one(User, principal.user_id)
        participant = Participant(
            room_id=self.room.id,
            user_id=user.id,
            display_name=name,
            role=role,
            joined_at=LIVE_AT,
            consented_at=LIVE_AT,
        )
        self.session.add(participant)
        await self.session.flush()
        self.people[name] = user, participant
        return participant

    async def run(
        self,
        words: Mapping[Participant, Sequence[Word]],
        *,
        missing: Sequence[tuple[int, int]] = (),
        language: str = "en",
    ) -> Run:
        """A done run; each speaker's words lie in windows of ten."""
        run = Run(
            recording_id=self.recording.id, revision=1, model="bundled", status=RunStatus.DONE
        )
        self.session.add(run)
        await self.session.flush()
        for who, said in words.items():
            track = RunTrack(
                run_id=run.id, participant_id=who.id, language=language, speech_ms=1000
            )
            self.session.add(track)
            await self.session.flush()
            for number, first in enumerate(range(0, len(said), 10)):
                self.session.add(_window(run, who, number, said[first : first + 10], missing))
        await self.session.flush()
        return run

    async def publish(self, run: Run) -> Transcript:
        return await publish(self.session, recording_id=self.recording.id, run_id=run.id)

    async def cues(self) -> list[Cue]:
        query = sa.select(Cue).where(Cue.recording_id == self.recording.id)
        rows = query.order_by(Cue.start_ms, Cue.participant_id)
        return list(await self.session.scalars(rows.execution_options(populate_existing=True)))

    async def text(self) -> str:
        return " ".join(" ".join(cue.text.split()) for cue in await self.cues())


def _window(
    run: Run,
    who: Participant,
    number: int,
    words: Sequence[Word],
    missing: Sequence[tuple[int, int]],
) -> Window:
    return Window(
        run_id=run.id,
        participant_id=who.id,
        number=number,
        regions=[[words[0].start_ms, words[-1].end_ms]],
        words=[[w.start_ms, w.end_ms, w.text, w.confidence] for w in words],
        missing=[list(span) for span in missing] if number == 0 else [],
        decoded_at=LIVE_AT,
    )


async def make_heard(house: House, *, duration: timedelta = timedelta(minutes=10)) -> Heard:
    room = await house.bare_room(
        state="ended",
        live_at=LIVE_AT,
        ended_at=LIVE_AT + duration,
        duration_ms=round(duration.total_seconds() * 1000),
        recording_id=uuid7(),
    )
    worker = IngestWorker(whip_url="http://w", started_at=LIVE_AT, heartbeat_at=LIVE_AT)
    house.session.add(worker)
    await house.session.flush()
    recording = Recording(
        id=room.recording_id,
        room_id=room.id,
        platform_id=room.platform_id,
        worker_id=worker.id,
        epoch=1,
        status=RecordingStatus.STORED,
        live_at=LIVE_AT,
        ended_at=room.ended_at,
    )
    house.session.add(recording)
    await house.session.flush()
    return Heard(house, room, recording)
