"""A transcript as JSON of the Podcasting 2.0 namespace (podcast:transcript, version 1.0.0)."""

import json
from collections.abc import Iterable
from typing import Any, Final

from transcripts.merge import SpokenCue
from transcripts.words import joined

MEDIA_TYPE: Final = "application/json"


def render(cues: Iterable[SpokenCue]) -> str:
    segments = [_segment(cue) for cue in cues]
    return json.dumps({"version": "1.0.0", "segments": segments}, ensure_ascii=False)


def _segment(cue: SpokenCue) -> dict[str, Any]:
    """Times in seconds; a segment without a speaker is the one's before it."""
    times = {"startTime": cue.start_ms / 1000, "endTime": cue.end_ms / 1000}
    name = {"speaker": cue.speaker} if cue.speaker else {}
    return {**name, **times, "body": joined(cue.text.split())}
