"""The smallest parts of a transcript, of one speaker, on the room's clock."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple


class Span(NamedTuple):
    """A stretch of one track, the end not included."""

    start_ms: int
    end_ms: int

    @property
    def duration_ms(self) -> int:
        return self.end_ms - self.start_ms

    @property
    def seconds(self) -> float:
        return self.duration_ms / 1000


@dataclass(frozen=True, slots=True)
class Word:
    """`text` as it is shown, with its punctuation, without spaces around it."""

    start_ms: int
    end_ms: int
    text: str
    confidence: float
    """0 to 1; what a person wrote has 1."""


_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef"
    "\U00020000-\U0003ffff]"
)
"""Thai, Lao, Burmese, Khmer, Japanese, Chinese: scripts that put no spaces between words."""


def spaced(before: str, after: str) -> bool:
    """Whether these two words are written with a space between them."""
    return not (_UNSPACED.match(before[-1:]) or _UNSPACED.match(after[:1]))


def joined(texts: Iterable[str]) -> str:
    """Words as they are written one after the other."""
    line = ""
    for text in texts:
        line += f" {text}" if line and spaced(line, text) else text
    return line
