"""Where somebody spoke and hardly a word came out: the one error nobody sees in a transcript."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from transcripts.words import Span, Word

LONG_ENOUGH_S: Final = 1.2
"""Shorter sounds may well be a cough or a yes."""

WORDS_A_SECOND: Final = 0.9
"""Slow speech has two. Padding of both sides is part of the stretch."""

DOUBTFUL: Final = 0.5
"""The confidence of words for which the engine gave none."""


def thin(region: Span, words: Sequence[Word]) -> bool:
    """Whether more must have been said in the region than these words, which lie in it."""
    return region.seconds > LONG_ENOUGH_S and len(words) < WORDS_A_SECOND * region.seconds


def to_hear_again(region: Span, words: Sequence[Word]) -> bool:
    return not words or thin(region, words)


def better(first: Sequence[Word], second: Sequence[Word]) -> Sequence[Word]:
    """What says more of the same sound; the first where both do."""
    return max(first, second, key=_letters)


def _letters(words: Iterable[Word]) -> int:
    return sum(len(word.text) for word in words)


def evenly(texts: Sequence[str], region: Span) -> list[Word]:
    """Words without times of their own share the region's."""
    edges = [
        region.start_ms + region.duration_ms * at // max(len(texts), 1)
        for at in range(len(texts) + 1)
    ]
    return [
        Word(start_ms, end_ms, text, DOUBTFUL)
        for text, (start_ms, end_ms) in zip(texts, pairwise(edges), strict=True)
    ]
