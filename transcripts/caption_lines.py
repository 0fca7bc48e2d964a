"""A caption's words as cues that can be read: two lines of 42 characters at most; pure.

The engine gives captions no times of words (ADR 0025), so a cue gets as much of the utterance's
time as it has of its text.
"""

import textwrap
from dataclasses import dataclass
from typing import Final

LINE: Final = 42
LINES: Final = 2
SHORTEST_MS: Final = 1000
_ENDS: Final = (".", "!", "?", "…", ",", ";", ":")


@dataclass(frozen=True, slots=True)
class Lines:
    start_ms: int
    end_ms: int
    text: str


def readable(text: str, start_ms: int, end_ms: int) -> list[Lines]:
    """Cues that follow each other from `start_ms` on; none for text without a word."""
    parts = _parts(text)
    if not parts:
        return []
    letters = sum(len(part) for part in parts)
    cues: list[Lines] = []
    done = 0
    for part in parts:
        begin_ms = start_ms + (end_ms - start_ms) * done // letters
        done += len(part)
        until_ms = start_ms + (end_ms - start_ms) * done // letters
        cues.append(Lines(begin_ms, max(until_ms, begin_ms + 1), part))
    last = cues[-1]
    cues[-1] = Lines(last.start_ms, max(last.end_ms, last.start_ms + SHORTEST_MS), last.text)
    return cues


def _parts(text: str) -> list[str]:
    """Blocks of lines, all of about the same length: none is left with a single word."""
    words = [piece for word in text.split() for piece in textwrap.wrap(word, LINE)]
    if not any(c.isalnum() for c in text):
        return []
    parts: list[str] = []
    while words:
        blocks = -(-len(textwrap.wrap(" ".join(words), LINE)) // LINES)
        taken = _taken(words, sum(len(word) + 1 for word in words) // blocks)
        parts.append("\n".join(textwrap.wrap(" ".join(words[:taken]), LINE)))
        words = words[taken:]
    return parts


def _taken(words: list[str], letters: int) -> int:
    """How many words make the next block of some `letters`; it ends a clause where it can."""
    fitting = 1
    while (
        fitting < len(words) and len(textwrap.wrap(" ".join(words[: fitting + 1]), LINE)) <= LINES
    ):
        fitting += 1
        if len(" ".join(words[:fitting])) >= letters + LINE // 2:
            break
    lengths = [len(" ".join(words[:count])) for count in range(1, fitting + 1)]
    ends = [n for n in range(1, fitting + 1) if words[n - 1].endswith(_ENDS)]
    near = [n for n in ends if abs(lengths[n - 1] - letters) <= LINE // 2]
    if fitting == len(words):
        return fitting
    return min(near or range(1, fitting + 1), key=lambda n: abs(lengths[n - 1] - letters))
