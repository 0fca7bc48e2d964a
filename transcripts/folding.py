"""Text to the words that searching compares: without case, accents and punctuation.

What is said and what is asked for go through the same function, so a hyphen, an apostrophe or
a missing accent never keeps two words apart. Scripts without spaces give a word a character.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

LONGEST_WORD: Final = 64

_MARKS: Final = "".join(
    re.escape(char)
    for char in map(chr, range(0x300, 0x20000))
    if unicodedata.category(char)[0] == "M"
)
_SPACELESS: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD: Final = re.compile(
    f"[^\\W_{_SPACELESS}](?:[^\\W_{_SPACELESS}]|[{_MARKS}])*|(?!_)[{_SPACELESS}][{_MARKS}]*"
)
_LETTER: Final = re.compile(f"[{_SPACELESS}]")
_SIMPLE_TEXT: Final = re.compile("[\u0000-\u02ff\u0370-\u0482]*")
_SIMPLE_WORD: Final = re.compile(r"[^\W_]+")
"""The same in texts of alphabets alone, without marks of their own; many times as fast."""

_ACCENTS: Final = re.compile("(?<!и)[\u0300-\u036f]|(?<=и)[\u0300-\u0305\u0307-\u036f]")
"""Short i (и and a breve) is a letter of its own to the Russian stemmer."""

_LIGATURES: Final = str.maketrans(
    {"æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "ı": "i", "þ": "th"}
)


Span = tuple[int, int]
"""`text[span[0] : span[1]]`."""


class Token(NamedTuple):
    """`word` as it is compared; it stands at `text[start:end]`."""

    word: str
    start: int
    end: int


def fold(text: str) -> list[Token]:
    """The words of a text, in order."""
    return [Token(_plain(m.group()), m.start(), m.end()) for m in _words(text)]


def spans(text: str) -> list[Span]:
    """Where they stand."""
    return [match.span() for match in _words(text)]


def _words(text: str) -> Iterator[re.Match[str]]:
    word = _SIMPLE_WORD if _SIMPLE_TEXT.fullmatch(text) else _WORD
    return word.finditer(text)


def is_spaceless(word: str) -> bool:
    """Whether a folded word is one letter of a script that writes words without spaces."""
    return _LETTER.match(word) is not None


@lru_cache(maxsize=65_536)
def _plain(word: str) -> str:
    if word.isascii():
        return word.lower()[:LONGEST_WORD]
    decomposed = unicodedata.normalize("NFD", word.casefold())
    bare = unicodedata.normalize("NFC", _ACCENTS.sub("", decomposed))
    return bare.translate(_LIGATURES)[:LONGEST_WORD]
