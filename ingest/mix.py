"""The mixed signal as AAC segments of about 2 s, span by span of the media timeline."""

from typing import Final

import numpy as np

from ingest.aac import FRAME, AacEncoder
from ingest.decoder import Pcm
from ingest.fmp4 import fragment
from ingest.mixer import Mixer
from ingest.spans import Span, Spans
from ingest.spool import RenditionWriter

SEGMENT_FRAMES: Final = 94
"""2.005 s: the fewest whole frames that reach 2 s."""

WARM_FRAMES: Final = 20
"""Frames encoded and thrown away after a restart, so that the join is not heard."""


def mixer_start(resume: int) -> int:
    """Where mixing begins again so that `resume` and what follows sound as if never cut."""
    return max(resume - 2 * WARM_FRAMES * FRAME, 0)


class MixWriter:
    """Takes the mix up to the cut, encodes it and writes a segment when one is full.

    Each span has an encoder of its own and ends with a frame whose duration is cut to the
    span's; so segments never mix two spans, and every start is exact.
    """

    def __init__(self, rendition: RenditionWriter, spans: Spans, mixer: Mixer) -> None:
        self._rendition = rendition
        self._spans = spans
        self._mixer = mixer
        self._resume = rendition.media_end or 0
        self._index = 0
        self._encoder: AacEncoder | None = None
        self._rest: Pcm = np.zeros(0, np.float32)
        self._next = 0
        """Media position of the encoder's next frame."""

        self._frames: list[tuple[bytes, int]] = []
        self._segment_start = 0

    def advance(self, horizon: int) -> None:
        """Writes what lies before `horizon` on the room's clock."""
        while self._index < len(self._spans.spans):
            span = self._spans.spans[self._index]
            end = horizon if span.end is None else min(horizon, span.end)
            self._feed(span, span.media_start + end - span.start)
            if span.end is None or horizon < span.end:
                return
            self._finish(span)
            self._index += 1

    def _begin(self, span: Span) -> int:
        """The frame to encode first: the span's first, or some before the resumed one."""
        done = (self._resume - span.media_start) // FRAME
        return span.media_start + max(done - WARM_FRAMES, 0) * FRAME

    def _feed(self, span: Span, until: int) -> None:
        if self._encoder is None:
            begin = self._begin(span)
            if until <= begin:
                return
            self._mixer.take(begin)
            self._encoder = AacEncoder()
            self._next = self._segment_start = begin
        signal = np.concatenate((self._rest, self._mixer.take(until)))
        whole = signal.size - signal.size % FRAME
        for at in range(0, whole, FRAME):
            self._collect(span, self._encoder.encode(signal[at : at + FRAME]))
        self._rest = signal[whole:]

    def _finish(self, span: Span) -> None:
        if self._encoder is None:
            return
        if self._rest.size:
            padded = np.pad(self._rest, (0, FRAME - self._rest.size))
            self._collect(span, self._encoder.encode(padded))
        self._collect(span, self._encoder.flush())
        self._write(span)
        self._encoder = None
        self._rest = self._rest[:0]

    def _collect(self, span: Span, frames: list[bytes]) -> None:
        for frame in frames:
            start, self._next = self._next, self._next + FRAME
            if start < self._resume:
                self._segment_start = self._next
                continue
            end = span.media_end
            samples = FRAME if end is None else min(FRAME, end - start)
            self._frames.append((frame, samples))
            if len(self._frames) == SEGMENT_FRAMES:
                self._write(span)

    def _write(self, span: Span) -> None:
        if not self._frames:
            return
        start, samples = self._segment_start, sum(n for _, n in self._frames)
        self._rendition.write(
            fragment(self._rendition.next_sequence + 1, start, self._frames),
            media_start=start,
            samples=samples,
            room_start=span.room_of(start),
            discontinuity=start == span.media_start and self._rendition.last is not None,
        )
        self._segment_start = start + samples
        self._frames.clear()
