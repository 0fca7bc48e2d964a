"""Lexemes of a cue that are no words: whose it is, and when its room went live.

The index of words leaps between lexemes that stand in few of the same cues. So "what this speaker
said" and "what was said lately" cost what is found, not what the word has everywhere. They only
narrow: who speaks and who may hear is asked of the rooms each time.
"""

from base64 import b64encode
from datetime import datetime
from typing import Final
from uuid import UUID

from transcripts.stemming import platform_key

SPANS_S: Final = {"a": 1 << 10, "b": 1 << 14, "c": 1 << 18, "d": 1 << 22}
"""A time has one tag of each length: 17 minutes, 4.5 hours, 3 days, 48 days."""

MOST_SPANS: Final = 16
"""That are asked for at once."""


def tags_of(platform_id: UUID, user_id: UUID, live_at: datetime) -> list[str]:
    """Of a cue of this speaker, in a room that went live then."""
    at = int(live_at.timestamp())
    times = [_time_tag(platform_id, name, at // length) for name, length in SPANS_S.items()]
    return [speaker_tag(platform_id, user_id), *times]


def speaker_tag(platform_id: UUID, user_id: UUID) -> str:
    """Of 48 bits of the id: others may have the same."""
    return f"{platform_key(platform_id)}@{b64encode(user_id.bytes[-6:]).decode()}"


def tags_between(platform_id: UUID, oldest: datetime, newest: datetime) -> list[str]:
    """Of the shortest spans that cover the time between, a little more; empty if it is too long."""
    first, last = int(oldest.timestamp()), int(newest.timestamp())
    for name, length in SPANS_S.items():
        spans = range(first // length, last // length + 1)
        if len(spans) <= MOST_SPANS:
            return [_time_tag(platform_id, name, number) for number in spans]
    return []


def _time_tag(platform_id: UUID, name: str, number: int) -> str:
    return f"{platform_key(platform_id)}#{name}{number:x}"
