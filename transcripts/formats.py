"""The formats that a transcript is read in, and which of them a client wants (RFC 9110, 12.5.1)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from core.errors import Problem
from transcripts import plain, podcasting, srt, webvtt
from transcripts.merge import MissingSpeech, SpokenCue

Render = Callable[[Sequence[SpokenCue], Sequence[MissingSpeech]], str]


class NotAcceptable(Problem):
    status = 406
    code = "not_acceptable"
    title = "No format of a transcript is among those that were asked for"


class Format(StrEnum):
    """By file name extension; the first is what those get who don't mind."""

    JSON = "json"
    VTT = "vtt"
    SRT = "srt"
    TXT = "txt"


@dataclass(frozen=True, slots=True)
class Kind:
    media_types: tuple[str, ...]
    """The first is the answer's own."""

    render: Render

    @property
    def content_type(self) -> str:
        return f"{self.media_types[0]}; charset=utf-8"


KINDS: Final = {
    Format.JSON: Kind((podcasting.MEDIA_TYPE,), lambda cues, _: podcasting.render(cues)),
    Format.VTT: Kind(("text/vtt",), webvtt.render),
    Format.SRT: Kind(("application/x-subrip", "application/srt"), lambda cues, _: srt.render(cues)),
    Format.TXT: Kind(("text/plain",), plain.render),
}


def wanted(accept: str | None) -> Format:
    """The best of what the header names; of equal ones the first here. Raises NotAcceptable."""
    asked = [_range(part) for part in (accept or "*/*").split(",")]
    qualities = {
        format_: max((_quality(asked, type_) for type_ in kind.media_types), default=0.0)
        for format_, kind in KINDS.items()
    }
    best = max(qualities, key=lambda format_: qualities[format_])
    if not qualities[best]:
        named = ", ".join(kind.media_types[0] for kind in KINDS.values())
        raise NotAcceptable(f"There are {named}.")
    return best


def _range(part: str) -> tuple[str, float]:
    """A media range and its weight; parameters other than q don't matter here."""
    media, *parameters = (one.strip().lower() for one in part.split(";"))
    weights = [one[2:] for one in parameters if one.startswith("q=")]
    try:
        return media, min(max(float(weights[0]), 0.0), 1.0) if weights else 1.0
    except ValueError:
        return media, 0.0


def _quality(asked: Sequence[tuple[str, float]], media_type: str) -> float:
    """By the most specific range that the type is in."""
    for range_ in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        weights = [weight for media, weight in asked if media == range_]
        if weights:
            return max(weights)
    return 0.0
