"""What a move to another worker costs: from what was stored last until people are heard again."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ingest.manifest import Continued, GapFound
from ingest.models import GapCause
from ingest.spans import PER_MS, Spans


@dataclass(frozen=True, slots=True)
class Stretch:
    """Nothing of `participant_id` (of anybody, when None) between two times of the room's clock."""

    participant_id: str | None
    start_ms: float
    end_ms: float


class Absence:
    """Ends for all with the first stream that is opened here, and for each with their own."""

    def __init__(self, continued: Continued | None) -> None:
        self._began_ms = 0.0 if continued is None else float(continued.began_ms)
        self._since_ms = None if continued is None else continued.since_ms
        self._waiting = {} if continued is None else dict(continued.waiting)

    def on_stream(self, participant_id: str, room_ms: float) -> list[Stretch]:
        """What has ended now that the participant is heard."""
        ended = self._end_for_all(room_ms)
        since_ms = self._waiting.pop(participant_id, None)
        return ended if since_ms is None else [*ended, Stretch(participant_id, since_ms, room_ms)]

    def on_end(self, room_ms: float) -> list[Stretch]:
        """What was left when the room ended: whoever did not come back may have left before."""
        everybody_ms = room_ms if self._waiting else self._began_ms
        ended = self._end_for_all(min(everybody_ms, room_ms))
        until_ms = min(self._began_ms, room_ms)
        ended += [Stretch(who, since_ms, until_ms) for who, since_ms in self._waiting.items()]
        self._waiting.clear()
        return ended

    def _end_for_all(self, room_ms: float) -> list[Stretch]:
        since_ms, self._since_ms = self._since_ms, None
        return [] if since_ms is None else [Stretch(None, since_ms, room_ms)]


def unlisted(stretches: Iterable[Stretch], gaps: list[GapFound], spans: Spans) -> Iterator[Stretch]:
    """Their parts on the record, without what an earlier run or worker listed."""
    for stretch in stretches:
        who, start_ms = stretch.participant_id, stretch.start_ms
        for gap in gaps:
            known = (gap.participant_id, gap.cause) == (who, GapCause.WORKER_LOST)
            if known and gap.room_start_ms <= start_ms < gap.room_end_ms:
                start_ms = gap.room_end_ms
        for span in spans.spans:
            span_end_ms = stretch.end_ms if span.end is None else span.end / PER_MS
            begin_ms = max(start_ms, span.start / PER_MS)
            end_ms = min(stretch.end_ms, span_end_ms)
            if begin_ms < end_ms:
                yield Stretch(who, begin_ms, end_ms)
