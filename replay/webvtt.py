"""WebVTT (W3C, Candidate Recommendation of 2019) and its segments in HLS (RFC 8216, 3.5); pure."""

import html
from collections.abc import Iterable
from typing import Final, Protocol

MEDIA_TYPE: Final = "text/vtt; charset=utf-8"
_FROM_ZERO: Final = "X-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0"
"""Our fragmented MP4 counts media time from 0, and so do the cues."""


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


def segment(cues: Iterable[VoiceCue]) -> str:
    """One segment of a subtitles rendition, in media time; without cues nothing is shown.

    Cues that reach beyond the segment belong into each that they are shown in, whole. The empty
    line at the end is for FFmpeg's player, which reads all segments as one stream.
    """
    return "\n".join([f"WEBVTT\n{_FROM_ZERO}\n", *map(cue, cues), ""])


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
