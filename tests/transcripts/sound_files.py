"""Sound and video files of every kind, made for a test."""

from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.container import OutputContainer

from tests.transcripts.sounds import tones
from transcripts.transcriber import RATE, Pcm

PICTURES_A_SECOND: Final = 10


def write_sound(
    path: Path,
    pcm: Pcm,
    *,
    codec: str = "pcm_s16le",
    rate: int = RATE,
    layout: str = "mono",
    late_s: float = 0.0,
    picture: bool = False,
) -> Path:
    """`pcm` at 16 kHz, at another rate on every channel; `late_s` after the file's beginning."""
    with av.open(str(path), "w") as container:
        screen = _screen(container) if picture else None
        stream = container.add_stream(codec, rate=rate, layout=layout)
        assert isinstance(stream, av.AudioStream)
        if screen:
            _draw(container, screen, len(pcm) / RATE)
        resampler = av.AudioResampler(
            stream.format.name, layout, rate, frame_size=stream.frame_size or 0
        )
        row = np.clip(pcm * 32767, -32768, 32767).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(row, format="s16", layout="mono")
        frame.sample_rate = RATE
        frame.pts = round(late_s * RATE)
        frame.time_base = Fraction(1, RATE)
        for out in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(out))
        container.mux(stream.encode(None))
    return path


def write_video(path: Path, seconds: float) -> Path:
    """A picture and no sound."""
    with av.open(str(path), "w") as container:
        _draw(container, _screen(container), seconds)
    return path


def _screen(container: OutputContainer) -> av.VideoStream:
    stream = container.add_stream("mpeg4", rate=PICTURES_A_SECOND)
    assert isinstance(stream, av.VideoStream)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    return stream


def _draw(container: OutputContainer, stream: av.VideoStream, seconds: float) -> None:
    black = np.zeros((48, 64, 3), np.uint8)
    for at in range(round(seconds * PICTURES_A_SECOND)):
        picture = av.VideoFrame.from_ndarray(black, format="rgb24")
        picture.pts = at
        container.mux(stream.encode(picture))
    container.mux(stream.encode(None))


def beep(seconds: float) -> Pcm:
    return tones(seconds, 440.0, dbfs=-12)
