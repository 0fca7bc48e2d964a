"""A speaker's sound as it is transcribed: 16 kHz, laid out on the room's clock, in a file.

What was off the record, or when they were not there, is silence: a sample's place alone says
when it was said, and no map of times is needed after this.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO, Final

import av
import numpy as np
import numpy.typing as npt

from core.errors import Problem
from core.storage import ObjectStore
from ingest.decoder import Pcm as Pcm48
from ingest.opus import RATE as FULL_RATE
from replay.fragments import BrokenFragment
from replay.holdings import HeldRendition, HeldSegment, Piece, is_whole, read_pieces
from replay.roomtime import JOIN_MS
from replay.stems import Stem
from transcripts.transcriber import RATE, Pcm

Pcm16 = npt.NDArray[np.int16]

_FULL_SCALE: Final = 32768


class SoundMissing(Problem):
    """Compaction may just have moved it: the rows are read anew by the next attempt."""

    status = 503
    code = "sound_missing"
    title = "A part of the recording is not in the object store"


class RoomTrack:
    """Sample n was said n / 16 ms after go-live."""

    def __init__(self, file: BinaryIO, samples: int) -> None:
        self._file = file
        self.samples = samples

    async def read(self, start: int, end: int) -> Pcm:
        """Exactly `end - start` samples; silence where nothing was recorded."""
        return await asyncio.to_thread(self._read, start, end)

    def _read(self, start: int, end: int) -> Pcm:
        pcm = np.zeros(end - start, np.float32)
        data = os.pread(self._file.fileno(), 2 * pcm.size, 2 * start)
        found = np.frombuffer(data, np.int16)
        pcm[: found.size] = found
        pcm /= _FULL_SCALE
        return pcm


@asynccontextmanager
async def room_track(
    store: ObjectStore, rendition: HeldRendition, scratch: Path
) -> AsyncIterator[RoomTrack]:
    """Fetches and decodes it into a file without a name in `scratch`, which no kill leaves behind.

    Silence takes no room in it. Raises SoundMissing, StoreUnavailable.
    """
    file = await asyncio.to_thread(_nameless, scratch)
    try:
        layout = _Layout(file, rendition.row.codec)
        segments = iter(rendition.segments)
        async for piece, data in read_pieces(store, map(_piece, rendition.segments)):
            if data is None or not is_whole(piece, data):
                raise SoundMissing(f"{piece.object_key} is missing or damaged.")
            await asyncio.to_thread(layout.add, next(segments), data)
        yield RoomTrack(file, await asyncio.to_thread(layout.finish))
    finally:
        file.close()


def _nameless(scratch: Path) -> BinaryIO:
    scratch.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=scratch, buffering=0)


def _piece(segment: HeldSegment) -> Piece:
    return Piece("", segment.object_key, segment.byte_start, segment.bytes, segment.sha256)


class _Layout:
    """Writes segments where they belong. Blocking."""

    def __init__(self, file: BinaryIO, codec: str) -> None:
        self._file = file
        self._codec = codec
        self._stretch: _Stretch | None = None
        self._samples = 0

    def add(self, segment: HeldSegment, data: bytes) -> None:
        stretch = self._stretch
        if stretch is None or not stretch.goes_on_with(segment):
            self._close()
            stretch = self._stretch = _Stretch(segment, self._codec)
        try:
            for pcm in stretch.decode(data):
                self._write(pcm)
        except BrokenFragment as broken:
            raise SoundMissing(f"{segment.object_key} cannot be read: {broken}") from None

    def finish(self) -> int:
        """The track's length in samples."""
        self._close()
        return self._samples

    def _close(self) -> None:
        if self._stretch is not None:
            for pcm in self._stretch.finish():
                self._write(pcm)

    def _write(self, pcm: Pcm16) -> None:
        stretch = self._stretch
        assert stretch is not None  # noqa: S101 - what is written comes out of one
        os.pwrite(self._file.fileno(), pcm.tobytes(), stretch.position * 2)
        stretch.position += pcm.size
        self._samples = max(self._samples, stretch.position)


class _Stretch:
    """Segments that follow each other on both clocks: one decoder, one resampler.

    The resampler's output lies where its input lay: its delay is cut off at the beginning, and
    brought out at the end.
    """

    def __init__(self, first: HeldSegment, codec: str) -> None:
        self.position = round(first.room_start_ms * RATE / 1000)
        """Where the next sample is written."""

        self._stem = Stem(codec)
        self._stem.position = first.media_start
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        self._offset_ms = first.room_start_ms - first.media_start / 48
        self._pts = 0

    def goes_on_with(self, segment: HeldSegment) -> bool:
        """Whether neither clock leaps between what it has and the segment."""
        offset_ms = segment.room_start_ms - segment.media_start / 48
        return (
            not segment.discontinuity
            and segment.media_start == self._stem.position
            and abs(offset_ms - self._offset_ms) < JOIN_MS
        )

    def decode(self, data: bytes) -> Iterator[Pcm16]:
        for pcm in self._stem.segment(data, discontinuity=False):
            yield from self._resample(self._frame(pcm))

    def finish(self) -> Iterator[Pcm16]:
        return self._resample(None)

    def _frame(self, pcm: Pcm48) -> av.AudioFrame:
        row = np.ascontiguousarray(pcm).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(row, format="flt", layout="mono")
        frame.sample_rate, frame.pts = FULL_RATE, self._pts
        self._pts += pcm.size
        return frame

    def _resample(self, frame: av.AudioFrame | None) -> Iterator[Pcm16]:
        for out in self._resampler.resample(frame):
            yield out.to_ndarray().reshape(-1).astype(np.int16, copy=False)
