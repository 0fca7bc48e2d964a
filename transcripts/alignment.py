"""Gives corrected text its times from the words that it replaces; pure.

Times are milliseconds on the room's clock. Words of one track start one after the other, and
none reaches into the next: `ordered` makes that true of what an engine heard, `align` keeps it.
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate, pairwise
from typing import Final

from transcripts.words import Word, spaced

EASY_WORD_MS: Final = 60
"""Where new words would get less than this each, their neighbors give of their time."""

MOST_PAIRS: Final = 10_000
"""Of equal words, old and new. More is one word over and over, which takes cubic time to match;
two minutes of speech have far fewer."""


class NoRoomError(ValueError):
    """Less than a millisecond for each word."""


def ordered(words: Sequence[Word]) -> list[Word]:
    """The same words, each at least 1 ms long, none starting before the one before it ends."""
    placed: list[Word] = []
    for word in sorted(words, key=lambda word: word.start_ms):
        start = max(word.start_ms, placed[-1].start_ms + 1) if placed else word.start_ms
        placed.append(Word(start, max(word.end_ms, start + 1), word.text, word.confidence))
    ends = [min(a.end_ms, b.start_ms) for a, b in pairwise(placed)]
    return [
        Word(w.start_ms, end, w.text, w.confidence)
        for w, end in zip(placed, [*ends, *(w.end_ms for w in placed[-1:])], strict=True)
    ]


def normal(text: str) -> str:
    """Letters and digits alone: two runs agree where these do, however they punctuate."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if char.isalnum())


def words_of(text: str) -> list[str]:
    """As they are timed: between spaces, and each character of scripts that write none."""
    return [word for part in text.split() for word in _unspaced(part)]


def _unspaced(part: str) -> list[str]:
    """Marks and punctuation stay with the character before."""
    cut = [part[0]]
    for char in part[1:]:
        if spaced(cut[-1], char) or not char.isalnum():
            cut[-1] += char
        else:
            cut.append(char)
    return cut


def align(words: Sequence[Word], text: str, start_ms: int, end_ms: int) -> list[Word]:
    """The words of `text` in place of `words`, all within [start_ms, end_ms).

    Kept words keep their times (one beside an insertion may give some of its own), changed
    ones share those of the words they replace, added ones the room between. Raises NoRoomError.
    """
    tokens = words_of(text)
    if end_ms - start_ms < len(tokens):
        raise NoRoomError("more words than milliseconds")
    blocks = _blocks(words, tokens)
    for n in range(len(blocks)):
        _make_room(blocks, n, words, (start_ms, end_ms))
    placed: list[Word] = []
    for block in blocks:
        floor = placed[-1].end_ms if placed else start_ms
        span = block.span(words, floor, end_ms)
        if not block.kept and span[1] - span[0] < block.count:
            return _spread(tokens, start_ms, end_ms)
        placed += block.words(words, tokens, span)
    return placed


@dataclass(slots=True)
class _Block:
    """`words[i1:i2]` become `tokens[j1:j2]`; `kept` says that they are the same, one by one."""

    kept: bool
    i1: int
    i2: int
    j1: int
    j2: int

    @property
    def count(self) -> int:
        return self.j2 - self.j1

    def span(self, words: Sequence[Word], floor_ms: int, end_ms: int) -> tuple[int, int]:
        """The words' own time where that is enough, else all from `floor_ms` to the next one."""
        high = words[self.i2].start_ms if self.i2 < len(words) else end_ms
        if self.i1 == self.i2:
            return floor_ms, high
        own = words[self.i1].start_ms, words[self.i2 - 1].end_ms
        enough = self.count * EASY_WORD_MS
        if own[1] - own[0] >= enough:
            return own
        return (own[0], high) if high - own[0] >= enough else (floor_ms, high)

    def words(self, words: Sequence[Word], tokens: list[str], span: tuple[int, int]) -> list[Word]:
        old, new = words[self.i1 : self.i2], tokens[self.j1 : self.j2]
        if len(old) == len(new):
            return [_renamed(w, t) for w, t in zip(old, new, strict=True)]
        return _spread(new, *span)


def _blocks(words: Sequence[Word], tokens: list[str]) -> list[_Block]:
    old, new = [_key(word.text) for word in words], [_key(t) for t in tokens]
    head = _alike(old, new)
    tail = _alike(old[head:][::-1], new[head:][::-1])
    i, j = len(old) - tail, len(new) - tail
    blocks = [_Block(True, 0, head, 0, head)] if head else []
    for kept, i1, i2, j1, j2 in _changes(old[head:i], new[head:j]):
        blocks.append(_Block(kept, head + i1, head + i2, head + j1, head + j2))
    return [*blocks, _Block(True, i, len(old), j, len(new))] if tail else blocks


def _alike(old: Sequence[str], new: Sequence[str]) -> int:
    """How many are the same from the first on."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(old), len(new)))


def _changes(old: list[str], new: list[str]) -> list[tuple[bool, int, int, int, int]]:
    """(the same, and where in `old` and in `new`); all of it changed, where that is dear to say."""
    if not old and not new:
        return []
    heard, put = Counter(old), Counter(new)
    if sum(count * put[key] for key, count in heard.items()) > MOST_PAIRS:
        return [(False, 0, len(old), 0, len(new))]
    codes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return [(tag == "equal", i1, i2, j1, j2) for tag, i1, i2, j1, j2 in codes]


def _key(token: str) -> str:
    return normal(token) or token


def _make_room(
    blocks: list[_Block], n: int, words: Sequence[Word], limits: tuple[int, int]
) -> None:
    """Takes a kept neighbor into a block that has too little time: the one before, else after."""
    block = blocks[n]
    if block.count in (0, block.i2 - block.i1):
        return
    low, high = block.span(words, words[block.i1 - 1].end_ms if block.i1 else limits[0], limits[1])
    if high - low >= block.count * EASY_WORD_MS:
        return
    if n > 0 and blocks[n - 1].count:
        before = blocks[n - 1]
        before.i2, before.j2 = before.i2 - 1, before.j2 - 1
        block.i1, block.j1 = block.i1 - 1, block.j1 - 1
    elif n + 1 < len(blocks) and blocks[n + 1].count:
        after = blocks[n + 1]
        after.i1, after.j1 = after.i1 + 1, after.j1 + 1
        block.i2, block.j2 = block.i2 + 1, block.j2 + 1


def _renamed(word: Word, text: str) -> Word:
    """As it was where nothing changed; what a person wrote is certain."""
    return word if word.text == text else Word(word.start_ms, word.end_ms, text, 1.0)


def _spread(tokens: Sequence[str], start_ms: int, end_ms: int) -> list[Word]:
    """One after the other without a pause, each as long as its text is, at least 1 ms."""
    before = [0, *accumulate(len(token) + 1 for token in tokens)]
    free, total = end_ms - start_ms - len(tokens), before[-1]
    edges = [start_ms + n + free * part // max(total, 1) for n, part in enumerate(before)]
    return [Word(a, b, t, 1.0) for (a, b), t in zip(pairwise(edges), tokens, strict=True)]
