"""One transcript out of each speaker's cues, on the room's clock; pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from transcripts.cues import Piece
from transcripts.words import Span, Word

TURN_PAUSE_MS: Final = 3000
"""Whoever is silent for longer, or off the record, begins another turn."""


@dataclass(frozen=True, slots=True)
class SpokenCue:
    """A cue and whose it is: what the formats write (replay.webvtt.VoiceCue)."""

    id: str
    """Empty for none."""

    start_ms: int
    end_ms: int
    speaker: str
    text: str
    """One line or more, with line breaks between them."""

    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class MissingSpeech:
    """Where a speaker said something that was not understood."""

    span: Span
    speaker: str


def merged(tracks: Mapping[str, Sequence[Piece]]) -> list[SpokenCue]:
    """All speakers' cues in the order in which they begin; overlapping ones stay apart.

    The ids are numbers from 1.
    """
    spoken = [(piece, name) for name, some in tracks.items() for piece in some]
    spoken.sort(key=lambda one: (one[0].start_ms, one[0].end_ms, one[1]))
    return [
        SpokenCue(str(number), piece.start_ms, piece.end_ms, name, piece.text, piece.words)
        for number, (piece, name) in enumerate(spoken, 1)
    ]


def turns(cues: Iterable[SpokenCue]) -> list[list[SpokenCue]]:
    """Cues that follow each other without a long pause and are of one speaker, together."""
    found: list[list[SpokenCue]] = []
    for cue in cues:
        if found and _goes_on(found[-1][-1], cue):
            found[-1].append(cue)
        else:
            found.append([cue])
    return found


def _goes_on(before: SpokenCue, cue: SpokenCue) -> bool:
    return before.speaker == cue.speaker and cue.start_ms - before.end_ms <= TURN_PAUSE_MS
