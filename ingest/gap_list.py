"""The gaps of one recording as its manifest lists them: each once, whatever finds it again."""

from collections.abc import Iterable

from ingest.absence import Stretch, unlisted
from ingest.gaps import LISTED, Missing, without
from ingest.manifest import GapFound
from ingest.models import GapCause
from ingest.spans import PER_MS, Span, Spans
from ingest.spool import Spool


class GapList:
    """Stages a line for each gap that no earlier run listed. Times are room milliseconds."""

    def __init__(self, spool: Spool, spans: Spans) -> None:
        self._spool = spool
        self._spans = spans

    def add(
        self, participant_id: str | None, cause: GapCause, start_ms: float, end_ms: float
    ) -> None:
        """Adds a gap, unless an earlier run listed it."""
        known = any(
            (gap.participant_id, gap.cause) == (participant_id, cause)
            and gap.room_start_ms < end_ms
            and start_ms < gap.room_end_ms
            for gap in self._spool.written.gaps
        )
        if known or start_ms >= end_ms:
            return
        number = len(self._spool.written.gaps)
        self._spool.stage(GapFound(number, participant_id, cause.value, start_ms, end_ms))

    def add_pause(self, before: Span, until_ms: float) -> None:
        """What is off the record after a span."""
        self.add(None, GapCause.OFF_THE_RECORD, (before.end or 0) / PER_MS, until_ms)

    def add_missing(self, participant_id: str, missing: Missing | None) -> None:
        """What lies on the record and in no gap that concerns all."""
        if missing is None:
            return
        for_all = [
            (round(gap.room_start_ms * PER_MS), round(gap.room_end_ms * PER_MS))
            for gap in self._spool.written.gaps
            if gap.participant_id is None
        ]
        for on_record in self._spans.on_record(missing.start, missing.end):
            for start, end in without(on_record, for_all):
                if end - start >= LISTED:
                    self.add(participant_id, missing.cause, start / PER_MS, end / PER_MS)

    def add_absences(self, stretches: Iterable[Stretch]) -> None:
        """What a move cost."""
        for lost in unlisted(stretches, self._spool.written.gaps, self._spans):
            self.add(lost.participant_id, GapCause.WORKER_LOST, lost.start_ms, lost.end_ms)
