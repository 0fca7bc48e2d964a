"""The smallest part of a transcript: one word of one speaker, on the room's clock."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    """`text` as it is shown, with its punctuation, without spaces around it."""

    start_ms: int
    end_ms: int
    text: str
    confidence: float
    """0 to 1; what a person wrote has 1."""
