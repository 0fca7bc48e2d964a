"""A transcript as WebVTT with voices; what may be missing is told in notes."""

from collections.abc import Iterable, Sequence

from replay.webvtt import document, timestamp
from transcripts.merge import MissingSpeech, SpokenCue


def render(cues: Sequence[SpokenCue], missing: Iterable[MissingSpeech] = ()) -> str:
    return document(cues, [_note(gap) for gap in missing])


def _note(gap: MissingSpeech) -> str:
    start, end = timestamp(gap.span.start_ms), timestamp(gap.span.end_ms)
    return f"possibly missing: {gap.speaker}, {start} to {end}"
