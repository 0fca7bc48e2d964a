"""Where somebody speaks: Silero's voice activity detection, and stretches of speech out of it.

It hears sound as it comes and keeps its state, so that captions and the final transcript use the
same. Times are milliseconds from the sound's beginning; a millisecond is 16 samples exactly.
"""

import importlib.util
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime

from transcripts.transcriber import RATE, Pcm
from transcripts.words import Span as Span

FRAME: Final = 512
FRAME_MS: Final = FRAME * 1000 // RATE
_CONTEXT: Final = 64
_STATE: Final = (1, 1, 128)
_BATCH: Final = 1024
"""Frames at once: more is hardly faster, and takes memory."""

_RUMBLE_HZ: Final = 100.0
"""Below this is no speech, but traffic, hands on tables and supplies: it hides faint voices."""

Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SpeechRules:
    """When speech begins and ends. A final transcript's by default; captions want shorter ones."""

    begin: float = 0.5
    """Speech begins with a frame at least as probable as this..."""

    go_on: float = 0.35
    """...and goes on while frames are at least as probable as this."""

    min_silence_ms: int = 500
    min_speech_ms: int = 64
    pad_ms: int = 200
    """Kept on both sides; of a shorter silence each side gets half."""

    longest_ms: int | None = None
    """Whoever speaks on is cut at the least probable frame of the second half."""


@cache
def _silero() -> Any:
    """The model lies in faster-whisper's package, which need not be imported for it."""
    spec = importlib.util.find_spec("faster_whisper")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("faster-whisper is not installed")
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    path = Path(spec.origin).parent / "assets" / "silero_vad_v6.onnx"
    return onnxruntime.InferenceSession(
        str(path), providers=["CPUExecutionProvider"], sess_options=options
    )


@cache
def _without_rumble() -> npt.NDArray[np.complex64]:
    """A fourth-order Butterworth high-pass (two biquads of the Audio EQ Cookbook), whose answer
    to a click is over after one frame: what multiplies the spectrum of two frames."""
    click = [1.0, *[0.0] * (FRAME - 1)]
    angle = 2 * math.pi * _RUMBLE_HZ / RATE
    for quality in (0.5412, 1.3066):
        alpha, cosine = math.sin(angle) / (2 * quality), math.cos(angle)
        x1 = x2 = y1 = y2 = 0.0
        for at, x in enumerate(click):
            fed = (1 + cosine) / 2 * (x - 2 * x1 + x2)
            y = (fed + 2 * cosine * y1 - (1 - alpha) * y2) / (1 + alpha)
            x1, x2, y1, y2, click[at] = x, x1, y, y1, y
    return np.fft.rfft(np.array(click, np.float32), 2 * FRAME).astype(np.complex64)


class VoiceActivity:
    """Listens to one track. Blocks for 3 ms a second of sound."""

    def __init__(self) -> None:
        self._model = _silero()
        self._h = np.zeros(_STATE, np.float32)
        self._c = np.zeros(_STATE, np.float32)
        self._before = np.zeros(FRAME, np.float32)
        self._context = np.zeros(_CONTEXT, np.float32)
        self._rest = np.zeros(0, np.float32)

    def feed(self, pcm: Pcm) -> Probabilities:
        """The probability of speech in every frame of 32 ms that is whole now."""
        sound = np.concatenate([self._rest, pcm])
        whole = sound.size // FRAME * FRAME
        self._rest = sound[whole:].copy()
        parts = [
            self._run(sound[at : min(at + _BATCH * FRAME, whole)])
            for at in range(0, whole, _BATCH * FRAME)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def finish(self) -> Probabilities:
        """That of the last frame, if it is not whole."""
        return self.feed(np.zeros(-self._rest.size % FRAME, np.float32))

    def _run(self, sound: Pcm) -> Probabilities:
        """Each frame goes in behind the last samples of the one before."""
        frames = self._filtered(sound.reshape(-1, FRAME))
        before = np.vstack([self._context, frames[:-1, -_CONTEXT:]])
        self._context = frames[-1, -_CONTEXT:].copy()
        given = {"input": np.hstack([before, frames]), "h": self._h, "c": self._c}
        out, self._h, self._c = self._model.run(None, given)
        return np.asarray(out, np.float32).reshape(-1)

    def _filtered(self, frames: Pcm) -> Pcm:
        pairs = np.hstack([np.vstack([self._before, frames[:-1]]), frames])
        self._before = frames[-1].copy()
        spectra = np.fft.rfft(pairs, axis=1) * _without_rumble()
        return np.fft.irfft(spectra, axis=1)[:, FRAME:].astype(np.float32)


class Endpointer:
    """Finds stretches of speech, without padding, as soon as each has ended."""

    def __init__(self, rules: SpeechRules) -> None:
        self._rules = rules
        self._frame = 0
        self._open: list[float] = []
        """The probabilities of the stretch under way."""

        self._silent = 0
        """How many of its last frames are silence so far."""

    @property
    def speaking_since_ms(self) -> int | None:
        """When the stretch under way began."""
        return (self._frame - len(self._open)) * FRAME_MS if self._open else None

    @property
    def silent_ms(self) -> int:
        """For how long the stretch under way has been silent."""
        return self._silent * FRAME_MS

    def feed(self, probabilities: Iterable[float]) -> list[Span]:
        ended: list[Span] = []
        for probability in probabilities:
            ended += self._hear(float(probability))
        return ended

    def finish(self) -> list[Span]:
        """The stretch under way, if there is one: nothing follows."""
        return self._end() if self._open else []

    def _hear(self, probability: float) -> list[Span]:
        self._frame += 1
        if not self._open and probability < self._rules.begin:
            return []
        self._open.append(probability)
        if probability >= self._rules.begin or (
            probability >= self._rules.go_on and not self._silent
        ):
            self._silent = 0
        else:
            self._silent += 1
        if self.silent_ms >= self._rules.min_silence_ms:
            return self._end()
        return self._cut()

    def _end(self) -> list[Span]:
        start = self._frame - len(self._open)
        spoken = len(self._open) - self._silent
        self._open, self._silent = [], 0
        return self._span(start, start + spoken)

    def _cut(self) -> list[Span]:
        longest = self._rules.longest_ms
        if longest is None or len(self._open) * FRAME_MS < longest:
            return []
        half = len(self._open) // 2
        at = half + int(np.argmin(self._open[half:]))
        start = self._frame - len(self._open)
        self._open = self._open[max(at, 1) :]
        self._silent = min(self._silent, len(self._open))
        return self._span(start, start + max(at, 1))

    def _span(self, first: int, end: int) -> list[Span]:
        if (end - first) * FRAME_MS < self._rules.min_speech_ms:
            return []
        return [Span(first * FRAME_MS, end * FRAME_MS)]


def regions(
    probabilities: Iterable[float], duration_ms: int, rules: SpeechRules | None = None
) -> list[Span]:
    """The stretches of speech in a whole track, padded, in order, none touching another's sound."""
    rules = rules or SpeechRules()
    endpointer = Endpointer(rules)
    found = [*endpointer.feed(probabilities), *endpointer.finish()]
    return padded(found, duration_ms, rules.pad_ms)


def padded(spans: Sequence[Span], duration_ms: int, pad_ms: int) -> list[Span]:
    """Each span with `pad_ms` more on both sides, as far as silence and the track reach."""
    if not spans:
        return []
    middles = [
        (before.end_ms + min(pad_ms, gap // 2), after.start_ms - min(pad_ms, gap - gap // 2))
        for before, after in pairwise(spans)
        for gap in [after.start_ms - before.end_ms]
    ]
    starts = [max(0, spans[0].start_ms - pad_ms), *(start for _, start in middles)]
    ends = [*(end for end, _ in middles), min(duration_ms, spans[-1].end_ms + pad_ms)]
    return [Span(start, end) for start, end in zip(starts, ends, strict=True) if end > start]
