"""WebVTT (W3C, Candidate Recommendation of 2019) and its segments in HLS (RFC 8216, 3.5); pure."""

import html
from collections.abc import Iterable
from typing import Final, Protocol

MEDIA_TYPE: Final = "text/vtt; charset=utf-8"
_MPEG_HZ: Final = 90
"""Ticks of MPEG-2 timestamps a millisecond."""

_WRAP: Final = 1 << 33


class VoiceCue(Protocol):
    """What one voice says. Times are milliseconds of whatever the document's are."""

    @property
    def id(self) -> str:
        """Empty for none."""
        ...

    @property
    def start_ms(self) -> int: ...

    @property
    def end_ms(self) -> int: ...

    @property
    def speaker(self) -> str:
        """Empty where nobody is named."""
        ...

    @property
    def text(self) -> str:
        """One line or more, with line breaks between them."""
        ...


def document(cues: Iterable[VoiceCue], notes: Iterable[str] = ()) -> str:
    """A whole file: the notes, then the cues in the order given, which must be that of time."""
    return "\n".join(["WEBVTT\n", *map(note, notes), *map(cue, cues)])


def segment(cues: Iterable[VoiceCue], *, mpegts: int, local_ms: int) -> str:
    """One segment of a subtitles rendition: cue time `local_ms` is at `mpegts` of the media.

    Cues that reach beyond the segment belong into each that they are shown in, whole.
    """
    stamp = f"X-TIMESTAMP-MAP=MPEGTS:{mpegts % _WRAP},LOCAL:{timestamp(local_ms)}"
    return "\n".join([f"WEBVTT\n{stamp}\n", *map(cue, cues)])


def mpeg_ticks(media_ms: float) -> int:
    """MPEG-2 timestamp (90 kHz) of a moment of the media."""
    return round(media_ms * _MPEG_HZ)


def timestamp(ms: int) -> str:
    """Section 4.1: hours of two digits or more."""
    seconds, rest = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{rest:03}"


def cue(one: VoiceCue) -> str:
    """A cue block with its line end. An end before the beginning would make it invalid."""
    end_ms = max(one.end_ms, one.start_ms + 1)
    times = f"{timestamp(one.start_ms)} --> {timestamp(end_ms)}"
    head = f"{_without_arrow(_line(one.id))}\n" if one.id else ""
    return f"{head}{times}\n{_voiced(one.speaker, one.text)}\n"


def note(text: str) -> str:
    """A comment block."""
    return f"NOTE {_without_arrow(_lines(text))}\n"


def _without_arrow(text: str) -> str:
    """Only the times of a cue may have one."""
    return text.replace("-->", "→")


def _voiced(speaker: str, text: str) -> str:
    said = escape(_lines(text))
    return f"<v {escape(' '.join(speaker.split()))}>{said}</v>" if speaker.strip() else said


def escape(text: str) -> str:
    """Section 4.2.2, for cue text and annotations alike."""
    return html.escape(text, quote=False)


def _lines(text: str) -> str:
    """Without empty lines, which would end the block."""
    return "\n".join(line for line in map(_line, text.splitlines()) if line)


def _line(text: str) -> str:
    """Without line ends and NUL, which the format has no way to say."""
    return " ".join(text.replace("\0", "\ufffd").split())
