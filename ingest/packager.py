"""One recording from its journal to its manifest: timelines, tracks, mix, gaps.

Everything follows from the journal. A restarted packager reads it from the start, which
decodes nothing, and goes on writing where the manifest ends.
"""

import logging
from collections import deque
from dataclasses import dataclass
from typing import Final

from ingest.aac import BIT_RATE, CODEC, audio_specific_config
from ingest.absence import Absence
from ingest.cut import Cut
from ingest.fmp4 import aac_entry, init_segment, opus_entry
from ingest.folders import Folders
from ingest.gap_list import GapList
from ingest.gaps import LISTED, SpeakerGaps
from ingest.intake import take_in
from ingest.journal import NO_LEVEL, Event, RawBatch
from ingest.manifest import Ended, HandedOver, Opened
from ingest.marks import (
    CloseReason,
    JournalInterrupted,
    RecordingOpened,
    RecordMark,
    RoomEnded,
    RoomLeft,
    SpeakerReleased,
    StreamClosed,
    StreamOpened,
    from_event,
)
from ingest.mix import MixWriter, levels_of, mixer_start
from ingest.mixer import Mixer
from ingest.models import GapCause
from ingest.opus import RATE
from ingest.spans import PER_MS, Spans
from ingest.spool import MIX, RenditionWriter, Spool
from ingest.tail import JournalClock, JournalTail
from ingest.timeline import Placed, Run, TrackTimeline
from ingest.track import TrackWriter
from ingest.voice import Sound

log = logging.getLogger(__name__)

GRACE_US: Final = 500_000
"""How long the room's clock waits for the journal: after it, silence is mixed.

So the receiving process may stall for a second without a hole in the mix.
"""

READS_PER_STEP: Final = 4
STEP_US: Final = 5_000_000
"""How much of the room's clock a step goes on: a backlog of hours keeps no other room waiting."""


@dataclass(slots=True)
class Track:
    participant_id: str
    timeline: TrackTimeline
    writer: TrackWriter
    gaps: SpeakerGaps
    end: int = 0
    """Where the last packet ends that was placed."""


def _to_samples(room_us: int) -> int:
    return room_us * PER_MS // 1000


class Packager:
    """`step` again and again until `ended`; it blocks on this disk only.

    Without `mixing` there are tracks only: nobody can listen live.
    """

    def __init__(self, folders: Folders, recording_id: str, *, mixing: bool = True) -> None:
        self.recording_id = recording_id
        self._tail = JournalTail(folders.journal(recording_id))
        self._spool = Spool(folders.spool(recording_id))
        self._unread: deque[RawBatch] = deque()
        self._spans = Spans()
        self._gaps = GapList(self._spool, self._spans)
        self._tracks: dict[str, Track] = {}
        self._stream_tracks: dict[int, Track] = {}
        self._timelines: dict[int, TrackTimeline] = {}
        self._level_less: set[int] = set()
        self._closing: dict[int, int] = {}
        mix = self._rendition(MIX, None, CODEC, aac_entry(audio_specific_config(), BIT_RATE))
        levels = levels_of(self._spool.written.levels)
        self._mixer = Mixer(mixer_start(mix.media_end or 0), levels)
        self._mix = MixWriter(mix, self._spool, self._spans, self._mixer) if mixing else None
        self._clock: JournalClock | None = None
        self._caught_up = False
        self._limit_us: int | None = None
        self._arrived_us = 0
        self._cut = Cut()
        self._down_since_us: int | None = None
        continued = self._spool.written.continued
        self._absence = Absence(continued)
        self._spans.seams = [] if continued is None else [ms * PER_MS for ms in continued.seams_ms]

    @property
    def ended(self) -> bool:
        """Nothing more comes here: the room has ended, or is another worker's."""
        written = self._spool.written
        return written.ended is not None or written.handed_over is not None

    @property
    def horizon(self) -> int:
        """Room position up to which everything is placed and mixed."""
        return self._cut.horizon

    @property
    def waits(self) -> bool:
        """Whether the wall clock moves the cut, because nothing has arrived for a while."""
        return self._cut.room_us > self._arrived_us

    def step(self, wall_us: int) -> bool:
        """Reads on and writes what is due at Unix time `wall_us`; whether more waits to be read."""
        until_us = self._arrived_us + STEP_US
        for _ in range(READS_PER_STEP):
            if self.ended:
                return False
            self._unread = self._unread or deque(self._tail.read())
            idle = not self._unread
            while self._unread and self._arrived_us < until_us:
                self._feed(self._unread.popleft())
                if self.ended:
                    return False
            if self._unread:
                self._commit()
                return True
            self._follow_clock(wall_us, idle=idle)
            self._commit()
            if idle:
                return False
        return True

    def _follow_clock(self, wall_us: int, *, idle: bool) -> None:
        """Moves the cut by this machine's clock where the journal does not."""
        if self._clock is None:
            return
        if self._caught_up and not idle:
            self._clock.observe(self._arrived_us, wall_us)
        elif not self._caught_up and idle:
            self._caught_up = True
            if (modified_us := self._tail.modified_us) is not None:
                self._clock.observe(self._arrived_us, modified_us)
        if idle:
            now_us = self._clock.now(wall_us) - GRACE_US
            limit_us = self._limit_us
            now_us = now_us if limit_us is None else min(now_us, limit_us)
            self._tick_until(now_us, waited_us=GRACE_US)

    def expect_end(self, room_ms: int) -> None:
        """The room is known to have ended there: no silence is mixed beyond.

        For when the receiving process is not there to say so in the journal.
        """
        self._limit_us = room_ms * 1000

    def close(self) -> None:
        """Lets go of the journal; what is written stands."""
        self._tail.close()

    def _commit(self) -> None:
        self._spool.commit(self._tail.fsync)

    def _rendition(
        self, name: str, participant_id: str | None, codec: str, entry: bytes
    ) -> RenditionWriter:
        return RenditionWriter(
            self._spool,
            name,
            participant_id=participant_id,
            codec=codec,
            init=init_segment(entry),
        )

    def _feed(self, batch: RawBatch) -> None:
        """Packets first, then the cut: a drain that came late still finds its place."""
        self._arrived_us = batch.room_us
        for event in take_in(batch, self._timelines):
            self._on_event(event, batch.room_us)
            if self.ended:
                return
        self._end_of_outage(batch.room_us / 1000)
        self._tick_until(batch.room_us)

    def _on_event(self, event: Event, room_us: int) -> None:
        match from_event(event):
            case RecordingOpened() as mark:
                self._on_opened(mark)
            case StreamOpened() as mark:
                self._on_stream(mark)
            case StreamClosed() as mark:
                self._close_stream(mark, room_us)
            case SpeakerReleased(participant_id=participant_id):
                if (track := self._tracks.get(participant_id)) is not None:
                    track.gaps.released(_to_samples(room_us))
            case RecordMark() as mark:
                self._on_mark(mark)
            case JournalInterrupted(room_start_ms=start_ms, room_end_ms=end_ms):
                self._end_of_outage(start_ms)
                self._gaps.add(None, GapCause.DISK_FULL, start_ms, end_ms)
            case RoomEnded(room_ms=room_ms):
                self._on_end(room_ms)
            case RoomLeft(room_ms=room_ms):
                self._on_leave(room_ms)

    def _on_opened(self, mark: RecordingOpened) -> None:
        if self._clock is None:
            self._clock = JournalClock(mark.live_at_us)
        if self._spool.written.opened is None:
            self._spool.stage(
                Opened(
                    recording_id=mark.recording_id,
                    room_id=mark.room_id,
                    platform_id=mark.platform_id,
                    epoch=mark.epoch,
                    revision=mark.revision,
                    live_at_us=mark.live_at_us,
                )
            )
        if mark.restart:
            for stream in list(self._stream_tracks):
                self._close_stream(
                    StreamClosed(stream, 0, 0, reason=CloseReason.LOST), mark.last_room_us
                )
            self._down_since_us = mark.last_room_us

    def _end_of_outage(self, room_ms: float) -> None:
        """The receiver is back with the batch that opens its file, whoever speaks when.

        Earlier, where its disk refused that batch, or where the room had ended by then.
        """
        if self._down_since_us is not None:
            self._gaps.add(None, GapCause.RECEIVER_DOWN, self._down_since_us / 1000, room_ms)
            self._down_since_us = None

    def _on_stream(self, mark: StreamOpened) -> None:
        self._gaps.add_absences(
            self._absence.on_stream(mark.participant_id, self._arrived_us / 1000)
        )
        track = self._tracks.get(mark.participant_id)
        if track is None:
            rendition = self._rendition(
                f"track-{mark.participant_id}", mark.participant_id, "opus", opus_entry()
            )
            writer = TrackWriter(rendition, self._spans)
            track = Track(mark.participant_id, TrackTimeline(), writer, SpeakerGaps())
            self._tracks[mark.participant_id] = track
        track.timeline.open(mark.stream)
        track.gaps.opened(mark.stream)
        self._stream_tracks[mark.stream] = track
        self._timelines[mark.stream] = track.timeline
        self._closing.pop(mark.stream, None)
        self._level_less.discard(mark.stream)
        if not mark.has_level:
            self._level_less.add(mark.stream)

    def _close_stream(self, mark: StreamClosed, room_us: int) -> None:
        track = self._stream_tracks.pop(mark.stream, None)
        self._timelines.pop(mark.stream, None)
        if track is None:
            return
        at = _to_samples(room_us)
        until = None if mark.until_ms is None else mark.until_ms * PER_MS
        track.timeline.close(mark.stream, until=until)
        track.gaps.closed(mark.stream, mark.reason, at if until is None else until)
        self._closing[mark.stream] = at + RATE

    def _on_mark(self, mark: RecordMark) -> None:
        if not mark.on:
            self._spans.finish(mark.room_ms, settled=self._settled())
            return
        before = self._spans.spans[-1] if self._spans.spans else None
        begun = self._spans.begin(mark.room_ms)
        if begun is not None and before is not None:
            self._gaps.add_pause(before, begun.start / PER_MS)

    def _settled(self) -> int:
        """Where the mix of the current span is cut, or was by an earlier run or worker."""
        span = self._spans.current
        written = None if span is None else self._spool.written.spans.get(span.media_start)
        if span is None or written is None:
            return self.horizon
        return max(self.horizon, span.room_of(written))

    def _tick_until(self, room_us: int, *, waited_us: int = 0) -> None:
        timelines = [track.timeline for track in self._tracks.values()]
        for horizon in self._cut.move(room_us, timelines, waited_us=waited_us):
            self._write_until(horizon)

    def _write_until(self, horizon: int) -> None:
        """Everything before `horizon` is placed, mixed, and written where a segment is full."""
        for track in self._tracks.values():
            self._keep(track, track.timeline.advance(horizon))
        if self._mix is not None:
            self._mix.advance(self._complete_until(horizon))
        media = self._spans.media_at(horizon)
        for track in self._tracks.values():
            track.writer.close_before(media)
        for stream in [s for s, at in self._closing.items() if at < horizon]:
            self._mixer.forget(stream)
            del self._closing[stream]
        self._commit()

    def _complete_until(self, horizon: int) -> int:
        """Before it where a packet lies across the horizon, which is placed with the next cut."""
        starts = [track.timeline.next_start() for track in self._tracks.values()]
        return min([horizon, *(start for start in starts if start is not None)])

    def _keep(self, track: Track, placed: list[Run]) -> None:
        """Puts packets on their track and into the mix, but for what is off the record."""
        for run in placed:
            if run.start - track.end >= LISTED:
                self._gaps.add_missing(track.participant_id, track.gaps.before(run.singly()[0]))
            track.end, track.gaps.last = run.end, run.last
            media = self._spans.place(run.start, run.end)
            if media is not None:
                track.writer.add_run(media, media + run.end - run.start, run.packets)
                if self._mix is not None:
                    has_level = run.stream not in self._level_less
                    self._mixer.add_run(track.participant_id, run, media, has_level=has_level)
            elif len(run.packets) > 1:
                self._keep_singly(track, run)

    def _keep_singly(self, track: Track, run: Run) -> None:
        """Packets around an edge of the record."""
        for packet in run.singly():
            media = self._spans.place(packet.start, packet.end)
            if media is None:
                continue
            track.writer.add(media, packet.samples, packet.payload)
            if self._mix is not None:
                self._mix_in(track, packet, media)

    def _mix_in(self, track: Track, packet: Placed, media: int) -> None:
        level = NO_LEVEL if packet.stream in self._level_less else packet.level
        self._mixer.add(
            Sound(
                speaker=track.participant_id,
                stream=packet.stream,
                start=media,
                samples=packet.samples,
                level=level,
                payload=packet.payload,
                lost=packet.lost,
            )
        )

    def _on_leave(self, room_ms: int) -> None:
        """As at the end, but that the span goes on at another worker."""
        self._place_all()
        if self._mix is not None:
            self._mix.advance(max(room_ms * PER_MS, self.horizon))
            self._mix.leave(max(room_ms * PER_MS, self.horizon))
        self._end_of_outage(room_ms)
        self._gaps.add_absences(self._absence.on_end(room_ms))
        self._spool.stage(HandedOver(room_ms))
        self._commit()
        log.info("recording %s is left to another worker", self.recording_id)

    def _place_all(self) -> None:
        for track in self._tracks.values():
            self._keep(track, track.timeline.advance(None))
            track.writer.finish()

    def _on_end(self, room_ms: int) -> None:
        last = self._spans.current
        self._spans.finish(room_ms, settled=self._settled())
        self._place_all()
        self._end_of_outage(room_ms)
        self._gaps.add_absences(self._absence.on_end(room_ms))
        for track in self._tracks.values():
            self._gaps.add_missing(track.participant_id, track.gaps.end(room_ms * PER_MS))
        if self._mix is not None:
            self._mix.advance(max(room_ms * PER_MS + RATE, self.horizon))
        if last is None and self._spans.spans:
            self._gaps.add_pause(self._spans.spans[-1], room_ms)
        counts = [track.timeline.counts for track in self._tracks.values()]
        self._spool.stage(
            Ended(
                room_end_ms=room_ms,
                media_samples=self._spans.media_length,
                packets_received=sum(c.received for c in counts),
                packets_lost=sum(c.lost for c in counts),
            )
        )
        self._commit()
        log.info("recording %s ended after %d ms", self.recording_id, room_ms)
