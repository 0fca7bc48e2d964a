"""What had arrived at a worker that was lost, and was not stored when another took over.

Its journal is packaged once more, up to where the other worker's epoch begins. The parts of the
two meet there exactly, for no segment crosses a seam (`ingest.spans`).
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ingest import marks
from ingest.absence import Absence
from ingest.folders import Folders
from ingest.journal import Event
from ingest.manifest import GapFound, Line, RenditionOpened, SegmentWritten
from ingest.opus import RATE
from ingest.packager import Packager, Track
from ingest.spans import PER_MS
from ingest.timeline import Run


@dataclass(frozen=True, slots=True)
class Limits:
    """What the database knows, for a worker that is lost may not have known it.

    The part lies between `began_ms` and `until_ms`; `record` are the room's marks, `withheld`
    until when sound of participants may be used who withdrew their consent, `ended_ms` the
    room's end. `resume` is where later workers' segments go on in each rendition (media time).
    """

    began_ms: int
    until_ms: int
    record: Sequence[marks.RecordMark]
    withheld: Mapping[str, int]
    ended_ms: int | None
    resume: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Salvaged:
    """`lines` name the files in the spool; all that had arrived until `complete_until_ms` is
    stored with them. `packets_received` and `packets_lost` are of the whole epoch."""

    lines: list[Line]
    complete_until_ms: float
    packets_received: int
    packets_lost: int


def salvage(folders: Folders, recording_id: str, limits: Limits) -> Salvaged:
    """Packages the journal in `folders`, whose spool begins with what is stored. Blocking."""
    with contextlib.closing(_Salvager(folders, recording_id, limits)) as packager:
        return packager.run()


class _Salvager(Packager):
    def __init__(self, folders: Folders, recording_id: str, limits: Limits) -> None:
        super().__init__(folders, recording_id)
        self._limits = limits
        self._absence = Absence(None)
        self._kept: list[Line] = []

    def run(self) -> Salvaged:
        arrived_us = 0
        while batches := self._tail.read():
            for batch in batches:
                if batch.room_us <= self._limits.until_ms * 1000:
                    self._feed(batch)
                    arrived_us = batch.room_us
        self._finish()
        counts = [track.timeline.counts for track in self._tracks.values()]
        return Salvaged(
            lines=self._kept,
            complete_until_ms=arrived_us / 1000,
            packets_received=sum(c.received for c in counts),
            packets_lost=sum(c.lost for c in counts),
        )

    def _on_event(self, event: Event, room_us: int) -> None:
        match marks.from_event(event):
            case marks.RecordMark() | marks.RoomEnded() | marks.RoomLeft():
                return
            case marks.RecordingOpened(restart=False):
                super()._on_event(event, room_us)
                for mark in self._limits.record:
                    self._on_mark(mark)
            case _:
                super()._on_event(event, room_us)

    def _keep(self, track: Track, placed: list[Run]) -> None:
        until_ms = self._limits.withheld.get(track.participant_id, self._limits.until_ms)
        super()._keep(track, [run for one in placed if (run := one.until(until_ms * PER_MS))])

    def _finish(self) -> None:
        """Up to the seam, where nothing of this worker lies beyond; tracks to what goes on."""
        ended_ms, until_ms = self._limits.ended_ms, self._limits.until_ms
        if ended_ms is not None and ended_ms <= until_ms:
            self._spans.finish(ended_ms, settled=self._settled())
        for track in self._tracks.values():
            self._keep(track, track.timeline.advance(None))
            if track.writer.has_new:
                resume = self._limits.resume.get(f"track-{track.participant_id}")
                track.writer.finish(fill_until=resume)
        if self._mix is not None:
            self._mix.advance(max(until_ms * PER_MS + RATE, self.horizon))
        self._commit()

    def _commit(self) -> None:
        self._kept += [line for line in self._spool.waiting if self._is_ours(line)]
        super()._commit()

    def _is_ours(self, line: Line) -> bool:
        if isinstance(line, SegmentWritten):
            first = self._spans.media_at(self._limits.began_ms * PER_MS)
            return line.media_start >= first
        return isinstance(line, RenditionOpened | GapFound)
