"""What is said in one live room, from its journal: utterances, soon after each has ended.

It heeds the journal as the packager does (ADR 0010): nothing off the record, nothing after a
withdrawal, and each packet at its place on the room's clock. But it waits for late packets for
TAP_DELAY_US only: what comes later is in the recording, not in the captions.
"""

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from ingest.intake import take_in
from ingest.journal import NO_LEVEL, Event, RawBatch
from ingest.marks import (
    RecordingOpened,
    RecordMark,
    RoomEnded,
    RoomLeft,
    StreamClosed,
    StreamOpened,
    from_event,
)
from ingest.spans import Spans
from ingest.tail import JournalTail
from ingest.timeline import Placed, Run, TrackTimeline
from ingest.voice import Sound, Voice
from transcripts.utterances import PER_MS, Ear, Utterance

TAP_DELAY_US: Final = 120_000
"""How far behind the arrivals sound is taken: networks shuffle packets."""

REPLAYED_US: Final = 10_000_000
"""How much of what was said before it begins is listened to: a restart loses no sentence."""


READS_AT_ONCE: Final = 4
"""Of up to 1 MiB each, where there is an old journal to catch up with: others run beside it."""


@dataclass(slots=True)
class _Speaker:
    ear: Ear
    timeline: TrackTimeline


@dataclass(frozen=True, slots=True)
class _Withdrawn:
    """What somebody said between the two times is not used."""

    participant_id: UUID
    since_ms: float
    until_ms: float


class LiveTap:
    """`read` again and again until `ended`; blocks on this disk, and decodes who talks."""

    def __init__(self, folder: Path) -> None:
        self.opened: RecordingOpened | None = None
        self.ended = False
        """Nothing more comes: the room is over, or goes on at another worker."""

        self._tail = JournalTail(folder)
        self._spans = Spans()
        self._speakers: dict[UUID, _Speaker] = {}
        self._streams: dict[int, UUID] = {}
        self._voices: dict[int, Voice] = {}
        self._level_less: set[int] = set()
        self._timelines: dict[int, TrackTimeline] = {}
        self._withdrawn: list[_Withdrawn] = []
        self._before: deque[RawBatch] | None = deque()
        """The last batches while the tap is not caught up; None from then on."""

        self._waiting: list[RawBatch] = []

        self._arrived_us = 0
        self._read_at_us = 0

    @property
    def speakers(self) -> int:
        """How many streams are open: while there are none, nothing can be said."""
        return len(self._streams)

    def read(self, now_us: int) -> list[Utterance]:
        """What was said and has ended by now; `now_us` is this machine's monotonic clock."""
        if self._before is not None and not self._catch_up(self._before):
            return []
        for batch in (batches := self._waiting or self._tail.read()):
            self._feed(batch)
        if batches:
            self._waiting, self._read_at_us = [], now_us
        self._listen_until(self.room_us(now_us) - TAP_DELAY_US)
        return self._utterances()

    def room_us(self, now_us: int) -> int:
        """The room's clock, counted on from the newest batch."""
        return self._arrived_us + max(now_us - self._read_at_us, 0)

    def may_be_shown(self, said: Utterance) -> bool:
        """Whether by now all of it is known to be on the record, with consent."""
        stretch = said.start_ms * PER_MS, said.end_ms * PER_MS
        return self._spans.on_record(*stretch) == [stretch] and not any(
            gone.participant_id == said.participant_id
            and said.end_ms > gone.since_ms
            and said.start_ms < gone.until_ms
            for gone in self._withdrawn
        )

    def close(self) -> None:
        self._tail.close()

    def _catch_up(self, before: deque[RawBatch]) -> bool:
        """Reads on; whether the journal's end has been seen, and its last seconds wait.

        What is older is only looked at for its marks.
        """
        for _ in range(READS_AT_ONCE):
            before.extend(batches := self._tail.read())
            if not batches:
                self._waiting, self._before = list(before), None
                return True
            while before[-1].room_us - before[0].room_us > REPLAYED_US:
                for event in take_in(batch := before.popleft(), {}):
                    self._on_event(event, batch.room_us)
        return False

    def _feed(self, batch: RawBatch) -> None:
        self._arrived_us = batch.room_us
        for event in take_in(batch, self._timelines):
            self._on_event(event, batch.room_us)
            if self.ended:
                self._timelines.clear()

    def _listen_until(self, room_us: int) -> None:
        horizon = room_us * PER_MS // 1000
        for speaker in self._speakers.values():
            self._hear(speaker, speaker.timeline.advance(horizon))
            speaker.ear.time(horizon)

    def _hear(self, speaker: _Speaker, runs: list[Run]) -> None:
        for run in runs:
            for placed in run.singly():
                voice = self._voices.get(placed.stream)
                if voice is not None and self._spans.place(placed.start, placed.end) is not None:
                    voice.add(self._sound(placed))

    def _sound(self, placed: Placed) -> Sound:
        level = NO_LEVEL if placed.stream in self._level_less else placed.level
        return Sound(
            speaker="",
            stream=placed.stream,
            start=placed.start,
            samples=placed.samples,
            level=level,
            payload=placed.payload,
            lost=placed.lost,
        )

    def _utterances(self) -> list[Utterance]:
        said = [u for speaker in self._speakers.values() for u in speaker.ear.utterances()]
        return sorted((u for u in said if self.may_be_shown(u)), key=lambda u: u.end_ms)

    def _on_event(self, event: Event, room_us: int) -> None:
        match from_event(event):
            case RecordingOpened() as mark:
                self.opened = mark
                for stream in list(self._streams):
                    self._close(stream)
            case StreamOpened() as mark:
                self._open(mark)
            case StreamClosed() as mark:
                self._on_closed(mark, room_us)
            case RecordMark(room_ms=room_ms, on=True):
                self._spans.begin(room_ms)
            case RecordMark(room_ms=room_ms):
                self._stop_all(room_ms)
                self._spans.finish(room_ms)
            case RoomEnded(room_ms=room_ms) | RoomLeft(room_ms=room_ms):
                self._stop_all(room_ms)
                self.ended = True

    def _open(self, mark: StreamOpened) -> None:
        participant_id = UUID(mark.participant_id)
        speaker = self._speakers.get(participant_id)
        if speaker is None:
            speaker = _Speaker(Ear(participant_id), TrackTimeline())
            self._speakers[participant_id] = speaker
        speaker.timeline.open(mark.stream)
        self._streams[mark.stream] = participant_id
        self._timelines[mark.stream] = speaker.timeline
        self._voices[mark.stream] = Voice(speaker.ear.hear)
        self._level_less.discard(mark.stream)
        if not mark.has_level:
            self._level_less.add(mark.stream)

    def _on_closed(self, mark: StreamClosed, room_us: int) -> None:
        participant_id = self._streams.get(mark.stream)
        if participant_id is not None and mark.until_ms is not None:
            self._withdrawn.append(_Withdrawn(participant_id, mark.until_ms, room_us / 1000))
        self._close(mark.stream, until_ms=mark.until_ms)

    def _close(self, stream: int, *, until_ms: int | None = None) -> None:
        """What waits of it is heard, then it is over; the ear itself waits for what follows."""
        participant_id = self._streams.pop(stream, None)
        self._timelines.pop(stream, None)
        if participant_id is None:
            return
        speaker = self._speakers[participant_id]
        until = None if until_ms is None else until_ms * PER_MS
        speaker.timeline.close(stream, until=until)
        self._hear(speaker, speaker.timeline.advance(None))
        del self._voices[stream]
        if until is not None:
            speaker.ear.stop(until)

    def _stop_all(self, room_ms: int) -> None:
        """Sound up to there is all there is: what waits is heard, whoever speaks is cut off."""
        for speaker in self._speakers.values():
            self._hear(speaker, speaker.timeline.advance(room_ms * PER_MS))
            speaker.ear.stop(room_ms * PER_MS)
