"""A transcript as SubRip; it has no voices, so a speaker's name stands where they begin."""

from collections.abc import Iterable

from replay.webvtt import timestamp
from transcripts.merge import SpokenCue, turns


def render(cues: Iterable[SpokenCue]) -> str:
    blocks = [_block(cue, named=at == 0) for turn in turns(cues) for at, cue in enumerate(turn)]
    return "\n".join(f"{number}\n{block}" for number, block in enumerate(blocks, 1))


def _block(cue: SpokenCue, *, named: bool) -> str:
    start, end = (timestamp(ms).replace(".", ",") for ms in (cue.start_ms, cue.end_ms))
    name = f"{' '.join(cue.speaker.split())}: " if named and cue.speaker else ""
    text = "\n".join(line for line in cue.text.splitlines() if line.strip())
    return f"{start} --> {end}\n{name}{text}\n"
