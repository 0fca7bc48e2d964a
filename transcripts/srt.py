"""A transcript as SubRip; it has no voices, so a speaker's name stands where they begin."""

import re
from collections.abc import Iterable
from typing import Final

from replay.webvtt import timestamp
from transcripts.merge import SpokenCue, turns

_OVERRIDE: Final = re.compile(r"\{+\\(?:[^}\n]*\})?")
"""What players of SubStation Alpha read as a command: position, size, whatever."""

_TAG: Final = re.compile(r"</?\s*(?:b|i|u|s|font)\b[^<>]*>", re.IGNORECASE)
"""What players of SubRip read as bold, a color, a size."""


def render(cues: Iterable[SpokenCue]) -> str:
    blocks = [_block(cue, named=at == 0) for turn in turns(cues) for at, cue in enumerate(turn)]
    return "\n".join(f"{number}\n{block}" for number, block in enumerate(blocks, 1))


def _block(cue: SpokenCue, *, named: bool) -> str:
    times = cue.start_ms, max(cue.end_ms, cue.start_ms + 1)
    start, end = (timestamp(ms).replace(".", ",") for ms in times)
    name = f"{_plain(' '.join(cue.speaker.split()))}: " if named and cue.speaker else ""
    text = "\n".join(line for line in _plain(cue.text).splitlines() if line.strip())
    return f"{start} --> {end}\n{name}{text}\n"


def _plain(text: str) -> str:
    """Nothing that begins another cue, or tells a player how to show this one."""
    return _without_tags(_OVERRIDE.sub("", text)).replace("-->", "→")


def _without_tags(text: str) -> str:
    """Again until there are none: what is taken out may have parted another one."""
    while (plain := _TAG.sub("", text)) != text:
        text = plain
    return text
