"""What turns sound into words: one protocol, whatever engine is behind it.

Sound is mono float32 at 16 kHz, -1 to 1; times are seconds from its beginning.
"""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

RATE: Final = 16_000
WINDOW_SECONDS: Final = 30.0
"""What Whisper looks at in one go; longer sound is cut by whoever asks."""

Pcm = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Model:
    """Which one heard it: enough to hear the same again."""

    name: str
    """As in the setting: `bundled`, a name on the hub, or a folder's."""

    digest: str
    """SHA-256 of its weights, hexadecimal."""

    device: str
    compute_type: str


@dataclass(frozen=True, slots=True)
class Decoding:
    """How to listen to one window. The same sound and decoding give the same words."""

    language: str | None = None
    """ISO 639-1; None lets the engine find out."""

    beam: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class HeardWord:
    start_s: float
    end_s: float
    text: str
    probability: float


@dataclass(frozen=True, slots=True)
class HeardSegment:
    """What was decoded in one piece, and how sure the engine was of it."""

    start_s: float
    end_s: float
    text: str
    words: tuple[HeardWord, ...]
    no_speech_probability: float
    average_log_probability: float
    compression_ratio: float


@dataclass(frozen=True, slots=True)
class Heard:
    language: str
    language_probability: float
    segments: tuple[HeardSegment, ...]


class Transcriber(Protocol):
    """Blocks no event loop. Raises TranscriberUnavailable while its process cannot be had."""

    @property
    def model(self) -> Model: ...

    async def hear(self, pcm: Pcm, decoding: Decoding) -> Heard:
        """At most WINDOW_SECONDS of sound, with a time for every word."""
        ...

    async def languages(self, pcm: Pcm) -> list[tuple[str, float]]:
        """What may be spoken in it, with probabilities, the likeliest first."""
        ...

    async def caption(self, pcm: Pcm, language: str | None) -> Heard:
        """A short utterance at once: half the encoder's context, no times of words."""
        ...
