"""Sound files as tracks: whatever FFmpeg reads, one speaker's voice each, on one clock.

A file is decoded once, to 16-bit samples at 16 kHz in a temporary file (115 MB an hour), which
RoomTrack reads: memory does not grow with its length.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer

from core.errors import Problem
from transcripts.riff import missing_seconds
from transcripts.transcriber import RATE

LONGEST_SECONDS: Final = 24 * 3600
RATES: Final = range(4_000, 768_001)
"""Samples a second of anything that was ever recorded; a header can say what it likes."""

JUMP_SECONDS: Final = 0.1
"""Times in a file that leap by more than this are meant; by less, they are rounded."""


@dataclass(frozen=True, slots=True)
class Decoded:
    samples: int
    damaged: int
    """In how many places something was left out."""

    missing_s: float = 0.0
    """Of a WAV: what its header promises beyond its end."""


Progress = Callable[[float, float | None], None]
"""Called with the seconds that were read, and how many it will be where the file says so."""


class FileRefused(Problem):
    """No sound comes out of this file; the detail says why."""

    status = 422
    code = "file_refused"
    title = "The file cannot be transcribed"


def decode(path: Path, to: BinaryIO, progress: Progress) -> Decoded:
    """Writes the sound of a file, mono.

    A sample's place is its time in the file: what has no sound there is silence, which takes no
    room on the disk. What is damaged in between is left out. Raises FileRefused. Blocks.
    """
    _check(path)
    try:
        # Of a playlist, nothing but files is opened.
        with av.open(f"file:{path}", options={"protocol_whitelist": "file"}) as container:
            decoded = _Decoding(container, _stream(path, container), to).run(path, progress)
    except av.FFmpegError as error:
        reason = error.strerror or type(error).__name__
        raise FileRefused(f"{path} is no sound or video file, or damaged ({reason}).") from error
    if not decoded.samples:
        raise FileRefused(f"{path} holds no sound that can be decoded.")
    return decoded


def _check(path: Path) -> None:
    try:
        empty = path.stat().st_size == 0
        with path.open("rb"):
            pass
    except OSError as error:
        raise FileRefused(f"{path} cannot be read ({error.strerror}).") from error
    if empty:
        raise FileRefused(f"{path} is empty.")


def _stream(path: Path, container: InputContainer) -> AudioStream:
    stream = container.streams.best("audio")
    if isinstance(stream, AudioStream):
        if stream.rate and stream.rate not in RATES:
            raise FileRefused(f"{path} says that it has {stream.rate} samples a second.")
        return stream
    kind = "a video without sound" if container.streams.video else "a file without sound"
    raise FileRefused(f"{path} is {kind}.")


class _Decoding:
    """One pass over a file. Writes each stretch without a leap of time where it belongs."""

    def __init__(self, container: InputContainer, stream: AudioStream, to: BinaryIO) -> None:
        self._container = container
        self._stream = stream
        self._to = to
        self._begins = (container.start_time or 0) / av.time_base
        self._resampler: av.AudioResampler | None = None
        self._format: tuple[object, ...] = ()
        self._expected = 0.0
        """Seconds into the file at which the next frame begins, unless time leaps."""

        self._position = 0
        self._samples = 0
        self._damaged = 0

    def run(self, path: Path, progress: Progress) -> Decoded:
        duration = self._container.duration
        total = duration / av.time_base if duration else None
        for frame in self._frames():
            self._place(path, frame)
            progress(self._expected, total)
        self._flush()
        os.ftruncate(self._to.fileno(), 2 * self._samples)
        return Decoded(self._samples, self._damaged, missing_seconds(path))

    def _frames(self) -> Iterator[av.AudioFrame]:
        """All that can be decoded: a damaged packet costs what it holds."""
        for packet in self._packets():
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                self._damaged += 1
                continue
            for frame in frames:
                if isinstance(frame, av.AudioFrame) and frame.samples:
                    if frame.sample_rate in RATES:
                        yield frame
                    else:
                        self._damaged += 1

    def _packets(self) -> "Iterator[av.Packet[AudioStream]]":
        """Up to where the file can be read."""
        try:
            yield from self._container.demux(self._stream)
        except av.FFmpegError:
            self._damaged += 1

    def _place(self, path: Path, frame: av.AudioFrame) -> None:
        at = self._expected if frame.time is None else frame.time - self._begins
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        leaps = abs(at - self._expected) > JUMP_SECONDS
        if leaps or shape != self._format or self._resampler is None:
            self._flush()
            at = at if leaps else self._expected
            self._position, self._format = max(0, round(at * RATE)), shape
            self._resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
            self._expected = at
        self._expected += frame.samples / frame.sample_rate
        if self._expected > LONGEST_SECONDS:
            raise FileRefused(f"{path} is longer than 24 hours: cut it.")
        frame.pts = None
        self._write(self._resampler.resample(frame))

    def _flush(self) -> None:
        if self._resampler is not None:
            self._write(self._resampler.resample(None))
            self._resampler = None

    def _write(self, frames: list[av.AudioFrame]) -> None:
        for frame in frames:
            pcm = frame.to_ndarray().reshape(-1).astype(np.int16, copy=False)
            if self._position < self._samples or pcm.any():  # silence is a hole in the file
                os.pwrite(self._to.fileno(), pcm.tobytes(), 2 * self._position)
            self._position += pcm.size
            self._samples = max(self._samples, self._position)
