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

from transcripts.transcriber import RATE, Pcm
from transcripts.words import Span as Span

FRAME: Final = 512
FRAME_MS: Final = FRAME * 1000 // RATE
_CONTEXT: Final = 64
_STATE: Final = (1, 1, 128)
_BATCH: Final = 1024
"""Frames at once: more is hardly faster, and takes memory."""

_SILENCE: Final = 10**-7.5
"""The power, relative to full scale, that no voice is below: microphones alone are louder."""

_PATIENCE: Final = 16
"""Frames of silence after which there is nothing to listen to."""

_LEAD: Final = 4000 // FRAME_MS
"""Frames that are kept of what may turn out to be speech."""

_RUMBLE_HZ: Final = 100.0
"""Below this is no speech, but traffic, hands on tables and supplies: it hides faint voices."""

Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SpeechRules:
    """When speech begins and ends.

    A stretch is made of frames at least as probable as `go_on`, and is speech when enough of
    them reach `begin`: who is hard to hear is hardest to hear at the beginning.
    """

    begin: float = 0.5
    go_on: float = 0.35
    min_silence_ms: int = 500
    min_speech_ms: int = 64
    """Of frames that reach `begin`."""

    pad_ms: int = 200
    """Kept on both sides; of a shorter silence each side gets half."""

    longest_ms: int | None = None
    """Whoever speaks on is cut at the least probable frame of the second half."""


@cache
def _silero() -> Any:
    """The model lies in faster-whisper's package, which need not be imported for it."""
    import onnxruntime  # 40 MB, for those only who listen

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
    """Listens to one track. Blocks for 3 ms a second of sound, for next to nothing in silence."""

    def __init__(self) -> None:
        self._model = _silero()
        self._rest = np.zeros(0, np.float32)
        self._before = np.zeros(FRAME, np.float32)
        self._quiet = _PATIENCE
        """For how many frames there has been silence."""

        self._forget()

    def _forget(self) -> None:
        self._h = np.zeros(_STATE, np.float32)
        self._c = np.zeros(_STATE, np.float32)
        self._context = np.zeros(_CONTEXT, np.float32)

    def feed(self, pcm: Pcm) -> Probabilities:
        """The probability of speech in every frame of 32 ms that is whole now."""
        sound = np.concatenate([self._rest, pcm])
        whole = sound.size // FRAME * FRAME
        self._rest = sound[whole:].copy()
        parts = [
            self._listen(sound[at : min(at + _BATCH * FRAME, whole)].reshape(-1, FRAME))
            for at in range(0, whole, _BATCH * FRAME)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def finish(self) -> Probabilities:
        """That of the last frame, if it is not whole."""
        return self.feed(np.zeros(-self._rest.size % FRAME, np.float32))

    def _listen(self, frames: Pcm) -> Probabilities:
        """Silence is not asked about; whoever speaks after it is listened to afresh."""
        pairs = np.hstack([np.vstack([self._before, frames[:-1]]), frames])
        self._before = frames[-1].copy()
        likely = np.zeros(len(frames), np.float32)
        asleep = self._quiet >= _PATIENCE
        for first, end in self._awake(frames):
            if first or asleep:
                self._forget()
            likely[first:end] = self._run(pairs[first:end])
        return likely

    def _awake(self, frames: Pcm) -> list[tuple[int, int]]:
        """From where to where there is sound, or was a moment ago."""
        sounds = np.square(frames).mean(axis=1) > _SILENCE
        numbers = np.arange(len(frames))
        last = np.maximum.accumulate(np.where(sounds, numbers, -1 - self._quiet))
        quiet = numbers - last
        self._quiet = int(quiet[-1])
        edges = np.flatnonzero(np.diff(quiet < _PATIENCE, prepend=False, append=False))
        return [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]

    def _run(self, pairs: Pcm) -> Probabilities:
        """Each frame goes in behind the last samples of the one before."""
        spectra = np.fft.rfft(pairs, axis=1) * _without_rumble()
        frames = np.fft.irfft(spectra, axis=1)[:, FRAME:].astype(np.float32)
        before = np.vstack([self._context, frames[:-1, -_CONTEXT:]])
        self._context = frames[-1, -_CONTEXT:].copy()
        given = {"input": np.hstack([before, frames]), "h": self._h, "c": self._c}
        out, self._h, self._c = self._model.run(None, given)
        return np.asarray(out, np.float32).reshape(-1)


class Endpointer:
    """Finds stretches of speech, without padding, as soon as each has ended."""

    def __init__(self, rules: SpeechRules) -> None:
        self._rules = rules
        self._frame = 0
        self._open: list[float] = []
        """The probabilities of the stretch under way."""

        self._sure = 0
        """How many of them reach `begin`."""

        self._silent = 0
        """How many of the last ones are silence so far."""

    @property
    def speaking_since_ms(self) -> int | None:
        """When the stretch under way began, if it is speech."""
        return (self._frame - len(self._open)) * FRAME_MS if self._is_speech else None

    @property
    def silent_ms(self) -> int:
        """For how long the stretch under way has been silent."""
        return self._silent * FRAME_MS

    @property
    def _is_speech(self) -> bool:
        return self._sure > 0 and self._sure * FRAME_MS >= self._rules.min_speech_ms

    def feed(self, probabilities: Iterable[float]) -> list[Span]:
        ended: list[Span] = []
        for probability in probabilities:
            ended += self._hear(float(probability))
        return ended

    def finish(self) -> list[Span]:
        """The stretch under way, if there is one: nothing follows."""
        return self._end()

    def _hear(self, probability: float) -> list[Span]:
        self._frame += 1
        goes_on = probability >= self._rules.go_on
        if not self._open and not goes_on:
            return []
        self._open.append(probability)
        self._sure += probability >= self._rules.begin
        self._silent = 0 if goes_on else self._silent + 1
        if self.silent_ms >= self._rules.min_silence_ms:
            return self._end()
        if not self._sure and len(self._open) > _LEAD:
            del self._open[0]
        return self._cut()

    def _end(self) -> list[Span]:
        first = self._frame - len(self._open)
        found = self._span(first, self._frame - self._silent)
        self._open, self._sure, self._silent = [], 0, 0
        return found

    def _cut(self) -> list[Span]:
        longest = self._rules.longest_ms
        if longest is None or len(self._open) * FRAME_MS < longest:
            return []
        half = max(len(self._open) // 2, 1)
        at = half + int(np.argmin(self._open[half:])) if self._open[half:] else half
        first = self._frame - len(self._open)
        found = self._span(first, first + at)
        self._open = self._open[at:]
        self._sure = sum(probability >= self._rules.begin for probability in self._open)
        self._silent = min(self._silent, len(self._open))
        return found

    def _span(self, first: int, end: int) -> list[Span]:
        return [Span(first * FRAME_MS, end * FRAME_MS)] if self._is_speech else []


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
