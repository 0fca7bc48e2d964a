"""How well a transcript says what was said: word errors, speakers, lost turns; pure.

Words are compared without case, punctuation and accents on quotes, as is usual for word error
rates. Speakers are aligned one by one; text without speakers is aligned as one stream.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from transcripts.words import Span

_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_NEAR_MS: Final = 500
"""How far outside its turn a word may be and still belong to it."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What was said in truth."""

    speaker: str
    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Said:
    """One word of a transcript; without a speaker where it knows none."""

    speaker: str | None
    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Accuracy:
    words: int
    """In the reference."""

    errors: int
    matched: int
    """Words of the transcript that are somebody's in the reference at that time."""

    rightly_attributed: int
    lost: tuple[Turn, ...]
    """Turns of which no word was understood."""

    @property
    def wer(self) -> float:
        """Word error rate; above 1 where more is made up than was said."""
        return self.errors / self.words if self.words else float(self.errors > 0)

    @property
    def right_speaker(self) -> float:
        return self.rightly_attributed / self.matched if self.matched else 1.0


def normalized(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    return _WORD.findall(plain)


def wer(reference: str, transcript: str) -> float:
    """Word error rate of a text whose times and speakers don't matter."""
    turn = Turn("", Span(0, 0), reference)
    return compare([turn], [Said(None, Span(0, 0), transcript)]).wer


def align(wanted: Sequence[str], given: Sequence[str]) -> list[tuple[int | None, int | None]]:
    """Pairs of positions with the fewest errors; None where one side has nothing.

    Takes 4 bytes for each pair of words: 400 MB for an hour of one speaker.
    """
    cost = _costs(wanted, given)
    pairs: list[tuple[int | None, int | None]] = []
    i, j = len(wanted), len(given)
    while i or j:
        differ = i > 0 and j > 0 and int(wanted[i - 1] != given[j - 1])
        if i and j and cost[i, j] == cost[i - 1, j - 1] + differ:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif i and cost[i, j] == cost[i - 1, j] + 1:
            i -= 1
            pairs.append((i, None))
        else:
            j -= 1
            pairs.append((None, j))
    return pairs[::-1]


def _costs(wanted: Sequence[str], given: Sequence[str]) -> npt.NDArray[np.int32]:
    """Levenshtein's table, a row at once: what an insertion adds is a running minimum."""
    columns = np.arange(len(given) + 1, dtype=np.int32)
    table = np.empty((len(wanted) + 1, len(given) + 1), np.int32)
    table[0] = columns
    words = np.array(given, dtype=object)
    for i, word in enumerate(wanted, 1):
        row = np.minimum(table[i - 1] + 1, i + columns)
        row[1:] = np.minimum(row[1:], table[i - 1, :-1] + (words != word))
        table[i] = np.minimum.accumulate(row - columns) + columns
    return table


@dataclass(slots=True)
class _Token:
    """A word of either side."""

    text: str
    turn: Turn | None
    span: Span
    matched: bool = False


def compare(turns: Sequence[Turn], said: Sequence[Said]) -> Accuracy:
    """`said` in any order. Either all of it has speakers or nothing has."""
    wanted = [_Token(text, turn, turn.span) for turn in turns for text in normalized(turn.text)]
    errors = right = matched = 0
    strays: list[_Token] = []
    for speaker in {word.speaker for word in said} | _speakers(turns, said):
        mine = [t for t in wanted if t.turn and speaker in (None, t.turn.speaker)]
        heard = _heard(speaker, said)
        wrong, together = _match(mine, heard)
        errors += wrong
        matched += len(together)
        right += sum(_near(a.span, b.span) for a, b in together)
        strays += [token for token in heard if not token.matched]
    found = {id(token.turn) for token in wanted if token.matched}
    lost = (turn for turn in turns if id(turn) not in found and normalized(turn.text))
    return Accuracy(len(wanted), errors, matched + _elsewhere(wanted, strays), right, tuple(lost))


def _speakers(turns: Sequence[Turn], said: Sequence[Said]) -> set[str | None]:
    """Who must be compared although nothing was heard of them."""
    if any(word.speaker is None for word in said):
        return set()
    return {turn.speaker for turn in turns}


def _heard(speaker: str | None, said: Sequence[Said]) -> list[_Token]:
    mine = sorted((word for word in said if word.speaker == speaker), key=lambda word: word.span)
    return [_Token(text, None, word.span) for word in mine for text in normalized(word.text)]


def _match(wanted: list[_Token], heard: list[_Token]) -> tuple[int, list[tuple[_Token, _Token]]]:
    """How many errors, and which tokens are the same word."""
    pairs = align([token.text for token in wanted], [token.text for token in heard])
    together = [
        (wanted[i], heard[j])
        for i, j in pairs
        if i is not None and j is not None and wanted[i].text == heard[j].text
    ]
    for one, other in together:
        one.matched = other.matched = True
    return len(pairs) - len(together), together


def _elsewhere(wanted: Sequence[_Token], strays: Sequence[_Token]) -> int:
    """Words heard of one speaker that another said then, and of whom they were not heard."""
    missed = [token for token in wanted if not token.matched]
    count = 0
    for stray in strays:
        for token in missed:
            if token.text == stray.text and _near(token.span, stray.span):
                missed.remove(token)
                count += 1
                break
    return count


def _near(turn: Span, word: Span) -> bool:
    middle_ms = (word.start_ms + word.end_ms) // 2
    return turn.start_ms - _NEAR_MS <= middle_ms <= turn.end_ms + _NEAR_MS
