"""Signals as the packets that the mixer takes."""

from collections.abc import Callable

from ingest.journal import NO_LEVEL
from ingest.voice import Sound
from tests.ingest.journals import Pcm, level_of, opus


def sounds(
    signal: Pcm,
    *,
    level: int | Callable[[Pcm], int] = level_of,
    speaker: str = "ada",
    stream: int = 1,
    start: int = 0,
    frame_ms: int = 20,
) -> list[Sound]:
    """The packets of one stream; each has the level of its samples, unless it is given."""
    size = frame_ms * 48
    return [
        Sound(
            speaker,
            stream,
            start + index * size,
            size,
            level if isinstance(level, int) else level(signal[index * size : (index + 1) * size]),
            payload,
        )
        for index, payload in enumerate(opus(signal, frame_ms=frame_ms))
    ]


def unlevelled(signal: Pcm) -> int:
    del signal
    return NO_LEVEL
