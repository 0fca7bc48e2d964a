"""Readable cues out of one speaker's words; pure.

At most two lines of 42 characters and 7 s, at least 1 s unless the next one begins before, and
broken where a sentence, a clause or a breath ends. East Asian characters are as wide as two.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Final

from transcripts.words import Word, joined, spaced

LINE: Final = 42
LONGEST_MS: Final = 7000
SHORTEST_MS: Final = 1000
PAUSE_MS: Final = 1000
"""Whoever is silent for that long begins another cue."""

_BREATH_MS: Final = 300
_SENTENCE: Final = (".", "!", "?", "…", "。", "！", "？", "।", "؟")
_CLAUSE: Final = (",", ";", ":", "–", "—", "、", "，", "；", "：", "،", "؛")
_CLOSING: Final = "\"'”’»)]」』）"

_CUE: Final = 1.0
_AFTER_CLAUSE: Final = 1.0
_AFTER_BREATH: Final = 1.5
_ANYWHERE: Final = 4.0
_TOO_SHORT: Final = 2.0
_BROKEN_OFF: Final = 2.5
"""What is bad about a cue, about where it ends, and about a sentence that begins within it and
goes on in the next, beside one more cue."""

Hint = bool | None
"""Whether a person wants a cue to begin with a word, wants none to, or leaves it open."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One cue of one speaker; `text` is one line or two, with a line break between them."""

    start_ms: int
    end_ms: int
    text: str
    words: tuple[Word, ...]
    confidence: float
    """The mean of its words."""


def pieces(words: Sequence[Word], hints: Sequence[Hint] | None = None) -> list[Piece]:
    """All the words, in their order, in cues. Hints, one a word, outweigh the limits."""
    if not words:
        return []
    hints = hints or [None] * len(words)
    cut = [
        _Stretch(words[start:end], hints[start:end]).cut()
        for start, end in pairwise(_edges(words, hints))
    ]
    some = [piece for stretch in cut for piece in stretch]
    following = [*(piece[0].start_ms for piece in some[1:]), None]
    return [_piece(piece, limit) for piece, limit in zip(some, following, strict=True)]


def _edges(words: Sequence[Word], hints: Sequence[Hint]) -> list[int]:
    """Pauses and the beginnings that people want, with both ends."""
    wanted = (
        at
        for at in range(1, len(words))
        if hints[at] or (hints[at] is None and _pause(words, at) >= PAUSE_MS)
    )
    return [0, *wanted, len(words)]


def _pause(words: Sequence[Word], at: int) -> int:
    return words[at].start_ms - words[at - 1].end_ms


class _Stretch:
    """Words without a pause, and how wide any of them are together."""

    def __init__(self, words: Sequence[Word], hints: Sequence[Hint]) -> None:
        self._words = words
        self._hints = hints
        self._from: list[int] = []
        self._to: list[int] = []
        self._sentence: list[int] = []
        """Of each word: with which its sentence begins."""
        for at, word in enumerate(words):
            space = at > 0 and spaced(words[at - 1].text, word.text)
            self._from.append((self._to[-1] if at else 0) + space)
            self._to.append(self._from[-1] + width(word.text))
            after = at == 0 or ends_sentence(words[at - 1].text)
            self._sentence.append(at if after else self._sentence[-1])

    def cut(self) -> list[tuple[Word, ...]]:
        """The way with the least that is bad: each word's best way to end a cue, from the front."""
        best: dict[int, tuple[float, int]] = {0: (0.0, 0)}
        for end in range(1, len(self._words) + 1):
            if end == len(self._words) or self._hints[end] is not False:
                best[end] = min(self._ways(best, end))
        found, end = [], len(self._words)
        while end:
            first = best[end][1]
            found.append(tuple(self._words[first:end]))
            end = first
        return found[::-1]

    def _ways(self, best: dict[int, tuple[float, int]], end: int) -> list[tuple[float, int]]:
        """(what is bad so far, first word) of each cue that may end before `end`."""
        ways: list[tuple[float, int]] = []
        for first in range(end - 1, -1, -1):
            if first not in best:
                continue
            if ways and not self._fits(first, end):
                break
            ways.append((best[first][0] + self._cost(first, end), first))
        return ways

    def _fits(self, first: int, end: int) -> bool:
        long_ms = self._words[end - 1].end_ms - self._words[first].start_ms
        if long_ms > LONGEST_MS or self._to[end - 1] - self._from[first] > 2 * LINE + 1:
            return False
        second = first + 1
        while second < end and self._to[second] - self._from[first] <= LINE:
            second += 1
        return second == end or self._to[end - 1] - self._from[second] <= LINE

    def _cost(self, first: int, end: int) -> float:
        short = self._words[end - 1].end_ms - self._words[first].start_ms < SHORTEST_MS
        empty = 1 - (self._to[end - 1] - self._from[first]) / (2 * LINE)
        broken = first < self._sentence[end - 1] and self._break(end) > 0
        bad = _TOO_SHORT * short + _BROKEN_OFF * broken
        return _CUE + bad + empty * empty + self._break(end)

    def _break(self, end: int) -> float:
        """How much a cue that ends before word `end` disturbs reading."""
        if end == len(self._words) or ends_sentence(self._words[end - 1].text):
            return 0.0
        if _ends(self._words[end - 1].text, _CLAUSE):
            return _AFTER_CLAUSE
        return _AFTER_BREATH if _pause(self._words, end) >= _BREATH_MS else _ANYWHERE


def ends_sentence(word: str) -> bool:
    return _ends(word, _SENTENCE)


def _ends(word: str, marks: tuple[str, ...]) -> bool:
    return word.rstrip(_CLOSING).endswith(marks)


def _piece(words: tuple[Word, ...], following_ms: int | None) -> Piece:
    start_ms, end_ms = words[0].start_ms, max(word.end_ms for word in words)
    if len(words) == 1:
        end_ms = min(end_ms, start_ms + LONGEST_MS)
    wanted_ms = max(end_ms, start_ms + SHORTEST_MS)
    if following_ms is not None:
        wanted_ms = max(min(wanted_ms, following_ms), start_ms + 1)
    confidence = sum(word.confidence for word in words) / len(words)
    text = "\n".join(lines([word.text for word in words]))
    return Piece(start_ms, wanted_ms, text, words, round(confidence, 3))


def lines(texts: Sequence[str]) -> list[str]:
    """Words in lines of at most LINE: one if they fit, else two that read well, else more."""
    whole = joined(texts)
    if width(whole) <= LINE:
        return [whole]
    if width(whole) > 2 * LINE + 1:
        return _filled(texts)
    pairs = [(joined(texts[:at]), joined(texts[at:])) for at in range(1, len(texts))]
    fitting = [pair for pair in pairs if max(map(width, pair)) <= LINE]
    if fitting:
        return list(min(fitting, key=lambda pair: _uneven(*pair)))
    return _filled(texts)


def _uneven(first: str, second: str) -> float:
    """A break after a clause may make lines as uneven as they like."""
    clause = _ends(first, _CLAUSE) or ends_sentence(first)
    return abs(width(first) - width(second)) - clause * LINE


def _filled(texts: Sequence[str]) -> list[str]:
    """One line after the other; words that are wider than a line are cut."""
    found = [""]
    for text in texts:
        longer = joined([found[-1], text]) if found[-1] else text
        if width(longer) <= LINE:
            found[-1] = longer
            continue
        found += _chopped(text)
    return [line for line in found if line]


def _chopped(text: str) -> list[str]:
    parts = [""]
    for character in text:
        if width(parts[-1] + character) > LINE:
            parts.append("")
        parts[-1] += character
    return parts


def width(text: str) -> int:
    """In columns: East Asian wide characters take two, combining ones none."""
    return len(text) if text.isascii() else sum(map(_columns, text))


@cache
def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
