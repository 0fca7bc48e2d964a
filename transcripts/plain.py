"""A transcript as text to read: one paragraph a turn, with who speaks and since when."""

from collections.abc import Iterable, Sequence

from transcripts.merge import MissingSpeech, SpokenCue, turns
from transcripts.words import joined


def render(cues: Sequence[SpokenCue], missing: Iterable[MissingSpeech] = ()) -> str:
    paragraphs = [_paragraph(turn) for turn in turns(cues)]
    gaps = [
        f"[possibly missing: {gap.speaker}, {clock(gap.span.start_ms)} to {clock(gap.span.end_ms)}]"
        for gap in missing
    ]
    return "\n\n".join([*paragraphs, *gaps]) + "\n" * bool(paragraphs or gaps)


def _paragraph(turn: Sequence[SpokenCue]) -> str:
    head = " ".join([*turn[0].speaker.split(), f"({clock(turn[0].start_ms)})"])
    return f"{head}\n{joined(word for cue in turn for word in cue.text.split())}"


def clock(ms: int) -> str:
    """Hours, minutes and seconds: `0:07:30`."""
    minutes, seconds = divmod(ms // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
