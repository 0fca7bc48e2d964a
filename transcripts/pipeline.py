"""The final transcript of one track, in steps whose results can be stored (ADR 0023).

    plan = await plan_track(track, transcriber, language=None)
    for window in plan.windows:
        result = await decode_window(track, transcriber, window, language=plan.language)

`plan` holds the language and which stretches of speech make up each window: what RunTrack and
Window keep (`WindowPlan(number, regions)` comes back from a row). `result` holds the words and
the stretches in which hardly one was understood. A window's result depends on its sound, its
plan and its language only, so windows may be decoded in any order, by anybody, again.

`transcribe_track` is both steps for who needs no resuming.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from transcripts.coverage import LONG_ENOUGH_S, better, evenly, thin, to_hear_again
from transcripts.guard import audible, believable, placed, whole_words
from transcripts.packing import GAP_MS, WINDOW_MS, Layout, Levels, levels, pack, split
from transcripts.transcriber import RATE, Decoding, Heard, Pcm, Transcriber
from transcripts.vad import FRAME, SpeechRules, VoiceActivity, regions
from transcripts.words import Span, Word

_MS: Final = RATE // 1000
_BLOCK: Final = 1024 * FRAME
"""Samples of a track that are in memory at once while it is planned: half a minute."""

_RETRY_BEAM: Final = 5
_SAMPLES_OF_SPEECH: Final = 3
"""Places of a track that are asked for its language."""

_SURE: Final = 0.9

_RULES: Final = SpeechRules(go_on=0.05)
"""What is heard too much costs little; what is not heard is lost."""


Progress = Callable[[int, int], None]
"""Called with the windows of a track that are decoded, and how many it has."""


class Track(Protocol):
    """One speaker's sound on the room's clock: sample n is 1/16 ms after go-live times n."""

    @property
    def samples(self) -> int: ...

    async def read(self, start: int, end: int) -> Pcm:
        """Exactly `end - start` samples; silence where nothing was recorded."""
        ...


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """`number` counts from 0 within the track; `regions` are milliseconds of the track."""

    number: int
    regions: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class TrackPlan:
    language: str | None
    """Null where nobody spoke."""

    language_probability: float
    speech_ms: int
    windows: tuple[WindowPlan, ...]


@dataclass(frozen=True, slots=True)
class WindowResult:
    words: tuple[Word, ...]
    missing: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class TrackTranscript:
    language: str | None
    language_probability: float
    words: tuple[Word, ...]
    missing: tuple[Span, ...]


async def transcribe_track(
    track: Track,
    transcriber: Transcriber,
    *,
    language: str | None = None,
    progress: Progress | None = None,
) -> TrackTranscript:
    plan = await plan_track(track, transcriber, language=language)
    results = []
    for window in plan.windows:
        results.append(await decode_window(track, transcriber, window, language=plan.language))
        if progress is not None:
            progress(len(results), len(plan.windows))
    return TrackTranscript(
        plan.language,
        plan.language_probability,
        tuple(word for result in results for word in result.words),
        tuple(span for result in results for span in result.missing),
    )


async def plan_track(
    track: Track, transcriber: Transcriber, *, language: str | None = None
) -> TrackPlan:
    """Finds the speech, packs it, and asks the engine for the language unless it is given."""
    speech, loudness = await _speech(track)
    pieces = [piece for region in speech for piece in split(region, loudness)]
    windows = tuple(WindowPlan(number, spans) for number, spans in enumerate(pack(pieces)))
    probability = 1.0
    if not windows:
        language, probability = None, 0.0
    elif language is None:
        language, probability = await _language(track, transcriber, windows)
    return TrackPlan(language, probability, sum(s.duration_ms for s in speech), windows)


async def decode_window(
    track: Track, transcriber: Transcriber, window: WindowPlan, *, language: str | None
) -> WindowResult:
    """Hears the window, and again alone each region of it that gave hardly a word."""
    whole = await _hear(track, transcriber, window.regions, _decoding(window, language))
    result: list[Word] = []
    missing: list[Span] = []
    for number, region in enumerate(window.regions):
        words: Sequence[Word] = [word for at, word in whole if at == number]
        if to_hear_again(region, words):
            alone = _decoding(window, language, retry=number + 1)
            words = better(words, await _hear_alone(track, transcriber, region, alone))
        result += words
        missing += [region] if thin(region, words) else []
    return WindowResult(tuple(result), tuple(missing))


def _decoding(window: WindowPlan, language: str | None, *, retry: int = 0) -> Decoding:
    """English is as good with one beam, and twice as fast; others are not."""
    beam = 1 if language == "en" and not retry else _RETRY_BEAM
    return Decoding(language, beam, seed=(window.number << 10) + retry)


async def _hear(
    track: Track, transcriber: Transcriber, spans: Sequence[Span], how: Decoding
) -> list[tuple[int, Word]]:
    layout = Layout(tuple(spans))
    pcm = await _sound(track, layout)
    return _kept(await transcriber.hear(pcm, how), layout, levels(pcm))


async def _hear_alone(
    track: Track, transcriber: Transcriber, region: Span, how: Decoding
) -> list[Word]:
    """A yes or a cough gets the quick look, whose words share its time."""
    if region.seconds > LONG_ENOUGH_S:
        return [word for _, word in await _hear(track, transcriber, [region], how)]
    heard = await transcriber.caption(await _read(track, region), how.language)
    texts = [text for s in heard.segments if believable(s) for text in s.text.split()]
    return evenly(texts, region)


def _kept(heard: Heard, layout: Layout, loudness: Levels) -> list[tuple[int, Word]]:
    words = (
        word
        for segment in heard.segments
        if believable(segment)
        for word in whole_words(segment)
        if audible(word, loudness)
    )
    return list(placed(words, layout))


async def _sound(track: Track, layout: Layout) -> Pcm:
    return layout.assemble([await _read(track, span) for span in layout.regions])


async def _read(track: Track, span: Span) -> Pcm:
    return await track.read(span.start_ms * _MS, min(span.end_ms * _MS, track.samples))


async def _speech(track: Track) -> tuple[list[Span], Levels]:
    """The track's stretches of speech, and how loud all of it is."""
    voice = VoiceActivity()
    likely, loudness = [], []
    async for block in _blocks(track):
        likely.append(await asyncio.to_thread(voice.feed, block))
        loudness.append(levels(block))
    probabilities = np.concatenate([*likely, voice.finish()])
    found = regions(probabilities.tolist(), track.samples // _MS, _RULES)
    return found, np.concatenate([*loudness, np.zeros(0, np.float32)])


async def _blocks(track: Track) -> AsyncIterator[Pcm]:
    for start in range(0, track.samples, _BLOCK):
        yield await track.read(start, min(start + _BLOCK, track.samples))


async def _language(
    track: Track, transcriber: Transcriber, windows: Sequence[WindowPlan]
) -> tuple[str, float]:
    """People greet in languages that they then don't speak, so several places are asked.

    All in one window, which is one question; where that leaves a doubt, whole windows are.
    """
    samples = [_excerpts(windows), *(window.regions for window in _longest(windows))]
    total: dict[str, float] = {}
    for number, spans in enumerate(samples, 1):
        pcm = await _sound(track, Layout(spans))
        for name, probability in await transcriber.languages(pcm):
            total[name] = total.get(name, 0.0) + probability
        best = max(total, key=lambda name: total[name])
        if total[best] / number >= _SURE:
            break
    return best, total[best] / number


def _excerpts(windows: Sequence[WindowPlan]) -> tuple[Span, ...]:
    """From the longest stretches of speech, as much as one window holds."""
    longest = sorted((s for w in windows for s in w.regions), key=lambda span: -span.duration_ms)
    most_ms = WINDOW_MS // _SAMPLES_OF_SPEECH - GAP_MS
    return tuple(
        Span(span.start_ms, min(span.end_ms, span.start_ms + most_ms))
        for span in sorted(longest[:_SAMPLES_OF_SPEECH])
    )


def _longest(windows: Sequence[WindowPlan]) -> list[WindowPlan]:
    by_speech = sorted(windows, key=lambda w: -sum(span.duration_ms for span in w.regions))
    return by_speech[:_SAMPLES_OF_SPEECH]
