"""The mixed signal as AAC segments of about 2 s, span by span of the media timeline."""

from dataclasses import asdict
from typing import Any, Final

import numpy as np

from ingest.aac import FRAME, AacEncoder
from ingest.decoder import Pcm
from ingest.fmp4 import fragment
from ingest.loudness import Level
from ingest.manifest import LevelsKnown
from ingest.mixer import Levels, Mixer, hop_of
from ingest.spans import Span, Spans
from ingest.spool import RenditionWriter, Spool

SEGMENT_FRAMES: Final = 94
"""2.005 s: the fewest whole frames that reach 2 s."""

WARM_FRAMES: Final = 20
"""Frames encoded and thrown away after a restart, so that the join is not heard."""


def mixer_start(resume: int) -> int:
    """Where decoding begins again so that `resume` and what follows sound as if never cut."""
    return max(resume - 2 * WARM_FRAMES * FRAME, 0)


def levels_of(known: dict[str, dict[str, Any]]) -> Levels:
    """The speakers' loudness as the manifest has it, for the mixer of a restarted packager."""
    return {name: Level(**members) for name, members in known.items()}


class MixWriter:
    """Takes the mix up to the cut, encodes it and writes a segment when one is full.

    Each span has an encoder of its own and ends with a frame whose duration is cut to the
    span's; so segments never mix two spans, and every start is exact.
    """

    def __init__(
        self, rendition: RenditionWriter, spool: Spool, spans: Spans, mixer: Mixer
    ) -> None:
        self._rendition = rendition
        self._spool = spool
        self._spans = spans
        self._mixer = mixer
        self._levels: Levels = levels_of(spool.written.levels)
        self._resume = rendition.media_end or 0
        self._index = 0
        self._encoder: AacEncoder | None = None
        self._rest: Pcm = np.zeros(0, np.float32)
        self._early = 0
        """Samples of the mix before the encoder's first frame."""

        self._next = 0
        """Media position of the encoder's next frame."""

        self._frames: list[tuple[bytes, int]] = []
        self._segment_start = 0

    def advance(self, horizon: int) -> None:
        """Writes what is certain when everything before `horizon` of the room's clock is there."""
        while self._index < len(self._spans.spans):
            span = self._spans.spans[self._index]
            if span.media_end is None or span.end is None or horizon < span.end:
                if self._has_begun(span, span.media_start + horizon - span.start):
                    self._encode(span, self._mixer.take(span.media_start + horizon - span.start))
                return
            if self._has_begun(span, span.media_end):
                self._encode(span, self._mixer.drain(span.media_end))
                self._finish(span)
            self._index += 1

    def _first_frame(self, span: Span, resume: int) -> int:
        """The frame to encode first: the span's first, or some before the resumed one."""
        done = (resume - span.media_start) // FRAME
        return span.media_start + max(done - WARM_FRAMES, 0) * FRAME

    def _mixed_from(self, span: Span, resume: int) -> int:
        return max(hop_of(self._first_frame(span, resume)), span.media_start)

    def _has_begun(self, span: Span, until: int) -> bool:
        """Opens the span's encoder where there is something to encode before `until`."""
        if self._encoder is None:
            first = self._first_frame(span, self._resume)
            if until <= first:
                return False
            begin = self._mixed_from(span, self._resume)
            self._mixer.begin(begin)
            self._encoder = AacEncoder()
            self._next = self._segment_start = first
            self._early = first - begin
        return True

    def _encode(self, span: Span, mix: Pcm) -> None:
        early = min(self._early, mix.size)
        self._early -= early
        signal = np.concatenate((self._rest, mix[early:]))
        whole = signal.size - signal.size % FRAME
        if whole and self._encoder is not None:
            self._collect(span, self._encoder.encode(signal[:whole]))
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
            if len(self._frames) == SEGMENT_FRAMES or self._reaches_seam(start):
                self._write(span)

    def _reaches_seam(self, start: int) -> bool:
        """Whether another worker's part begins within the frame at `start`: after it, that is."""
        seam = self._spans.next_seam(start)
        return seam is not None and seam <= start + FRAME

    def leave(self, room: int) -> None:
        """Writes the whole frames before `room`: another worker goes on after them."""
        if self._encoder is not None:
            span = self._spans.spans[self._index]
            self._encode(span, self._mixer.drain(span.media_start + room - span.start))
            self._collect(span, self._encoder.flush())
            self._write(span)
            self._encoder = None

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
        self._write_levels(self._mixed_from(span, self._segment_start))

    def _write_levels(self, position: int) -> None:
        """Those with which a restarted packager mixes on from there."""
        levels = self._mixer.levels_at(position)
        changed = {n: asdict(x) for n, x in levels.items() if x != self._levels.get(n, Level())}
        if changed:
            self._spool.stage(LevelsKnown(changed))
        self._levels = levels
