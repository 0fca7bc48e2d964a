"""What turns sound into words: one protocol, whatever engine is behind it.

Sound is mono float32 at 16 kHz, -1 to 1; times are seconds from its beginning.
"""

import unicodedata
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from core.errors import Invalid, Problem

RATE: Final = 16_000
WINDOW_SECONDS: Final = 30.0
"""What Whisper looks at in one go; longer sound is cut by whoever asks."""

Pcm = npt.NDArray[np.float32]


class TranscriberUnavailable(Problem):
    """Its process could not be had, died or hung: asked again later, it may well answer."""

    status = 503
    code = "transcriber_unavailable"
    title = "Nothing can be transcribed right now"


class ModelUnfit(Problem):
    """The files are there, and this machine or this version cannot run them."""

    status = 503
    code = "model_unfit"
    title = "The model cannot be run here"


class LanguageUnknown(Invalid):
    code = "language_unknown"
    title = "The model does not know this language"


class TooMuchSound(Invalid):
    code = "too_much_sound"
    title = "More sound than the model hears in one go"


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


_DIRECTIONS: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


def _writable(text: str) -> str:
    """Without what no database takes, no terminal should, or what would turn the line around."""
    return "".join(
        " " if c.isspace() else c
        for c in text
        if c not in _DIRECTIONS and (c.isspace() or unicodedata.category(c) not in {"Cc", "Cs"})
    )


@dataclass(frozen=True, slots=True)
class HeardWord:
    """`text` as the model gives it: with its punctuation, a space before it where a word begins.

    What cannot be written is left out of it, and of a segment's: a model's tokens are bytes.
    """

    start_s: float
    end_s: float
    text: str
    probability: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", _writable(self.text))


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

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", _writable(self.text))


@dataclass(frozen=True, slots=True)
class Heard:
    language: str
    language_probability: float
    segments: tuple[HeardSegment, ...]


class Transcriber(Protocol):
    """Blocks no event loop. Everything raises TranscriberUnavailable while its process cannot be
    had, TooMuchSound beyond WINDOW_SECONDS, LanguageUnknown for what the model does not speak,
    and what is wrong with the model: ModelMissing, ModelDamaged, ModelUnfit.
    """

    @property
    def model(self) -> Model:
        """Known once it was `ready` or has answered; until then, TranscriberUnavailable."""
        ...

    async def ready(self) -> Model: ...

    async def hear(self, pcm: Pcm, decoding: Decoding) -> Heard:
        """At most WINDOW_SECONDS of sound, with a time for every word."""
        ...

    async def languages(self, pcm: Pcm) -> list[tuple[str, float]]:
        """What may be spoken in it, with probabilities, the likeliest first."""
        ...

    async def caption(self, pcm: Pcm, language: str | None) -> Heard:
        """A short utterance at once: half the encoder's context, no times of words."""
        ...
