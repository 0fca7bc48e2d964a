"""What an engine makes up, and how it is told from what was said; pure.

Engines of this kind answer silence and music with words that they have often read. Voice
activity keeps most of that away from them; these are the second and third look.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from transcripts.packing import LEVEL_MS, Layout, Levels
from transcripts.transcriber import HeardSegment, HeardWord
from transcripts.words import Word, spaced

NO_SPEECH: Final = 0.6
UNSURE: Final = -1.0
REPETITIVE: Final = 2.4
BELOW_SPEECH_DB: Final = 30.0
"""A word whose loudest frame is that much fainter than the speech around it was not said."""

FAINTEST_DB: Final = -75.0
_EDGE_MS: Final = 64
"""Times of words are off by about that much."""


def believable(segment: HeardSegment) -> bool:
    """Whether the engine itself was sure that somebody spoke, and did not repeat itself."""
    return (
        segment.no_speech_probability <= NO_SPEECH
        and segment.average_log_probability >= UNSURE
        and segment.compression_ratio <= REPETITIVE
    )


def speech_level(window: Levels) -> float:
    """How loud the speech in a window is, dB: what a tenth of its frames exceed."""
    return float(np.percentile(window, 90)) if window.size else FAINTEST_DB


def audible(word: HeardWord, window: Levels) -> bool:
    """Whether anything sounded on the speaker's own track while the word is said to be said."""
    first = max(0, int(word.start_s * 1000 - _EDGE_MS) // LEVEL_MS)
    end = int(word.end_s * 1000 + _EDGE_MS) // LEVEL_MS + 1
    some = window[first:end]
    floor = max(speech_level(window) - BELOW_SPEECH_DB, FAINTEST_DB)
    return some.size > 0 and float(some.max()) >= floor


def whole_words(segment: HeardSegment) -> Iterator[HeardWord]:
    """The segment's words, with what is written together with the one before joined to it.

    Engines give `www.encore.example` and `full-featured` in several pieces, each with its time.
    """
    held: HeardWord | None = None
    at = 0
    for word in segment.words:
        text = word.text.strip()
        found = segment.text.find(text, at)
        close = held is not None and found == at > 0 and spaced(held.text, text)
        at = at if found < 0 else found + len(text)
        if held is not None and close:
            held = _together(held, word)
            continue
        if held is not None:
            yield held
        held = replace(word, text=text)
    if held is not None:
        yield held


def _together(first: HeardWord, second: HeardWord) -> HeardWord:
    return HeardWord(
        first.start_s,
        max(first.end_s, second.end_s),
        first.text + second.text.strip(),
        min(first.probability, second.probability),
    )


def placed(words: Iterable[HeardWord], layout: Layout) -> Iterator[tuple[int, Word]]:
    """Each word at its time on the track, and the number of the region it lies in.

    A word that reaches out of its region is cut to it, and none begins before the one before.
    """
    last = (0, layout.regions[0].start_ms)
    for word in words:
        start, end = word.start_s * 1000, word.end_s * 1000
        number = max(layout.nearest((start + end) / 2), last[0])
        start_ms = max(layout.within(number, start), last[1])
        end_ms = max(layout.within(number, end), start_ms)
        if word.text:
            yield number, Word(start_ms, end_ms, word.text, round(word.probability, 3))
            last = (number, start_ms)
