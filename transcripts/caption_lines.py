"""A caption's words as cues that can be read; pure.

The engine gives captions no times of words (ADR 0025), so each word gets as much of the
utterance's time as it has letters.
"""

from transcripts.cues import Piece, pieces
from transcripts.words import Word


def readable(text: str, start_ms: int, end_ms: int) -> list[Piece]:
    """Cues that follow each other from `start_ms` on; none for text without a word."""
    if not any(character.isalnum() for character in text):
        return []
    return pieces(_timed(text.split(), start_ms, end_ms))


def _timed(texts: list[str], start_ms: int, end_ms: int) -> list[Word]:
    letters = sum(len(text) + 1 for text in texts)
    words: list[Word] = []
    done = 0
    for text in texts:
        begin_ms = start_ms + (end_ms - start_ms) * done // letters
        done += len(text) + 1
        words.append(Word(begin_ms, start_ms + (end_ms - start_ms) * done // letters, text, 1.0))
    return words
