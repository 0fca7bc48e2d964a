"""The transcript of sound files: each is one speaker's track, named after the file, and all
begin at the same moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from transcripts import plain, podcasting, srt, webvtt
from transcripts.cues import pieces
from transcripts.merge import MissingSpeech, SpokenCue, merged
from transcripts.pipeline import TrackTranscript


class Format(StrEnum):
    VTT = "vtt"
    SRT = "srt"
    TXT = "txt"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class FileTranscript:
    """In the order of time."""

    cues: list[SpokenCue]
    missing: list[MissingSpeech]

    def render(self, format_: Format) -> str:
        match format_:
            case Format.VTT:
                return webvtt.render(self.cues, self.missing)
            case Format.SRT:
                return srt.render(self.cues)
            case Format.TXT:
                return plain.render(self.cues, self.missing)
            case Format.JSON:
                return podcasting.render(self.cues)


def together(tracks: Mapping[str, TrackTranscript]) -> FileTranscript:
    """By the speakers' names."""
    cues = merged({name: pieces(track.words) for name, track in tracks.items()})
    missing = [MissingSpeech(span, name) for name, one in tracks.items() for span in one.missing]
    return FileTranscript(cues, sorted(missing, key=lambda gap: gap.span))


def plain_name(text: str) -> str:
    """Without what a terminal would obey and what is no UTF-8."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def speakers(files: Sequence[Path]) -> list[str]:
    """A name for each, of the file's; a number behind it where several are called the same.

    Of letters that can be written: a file may be called anything.
    """
    names: list[str] = []
    for file in files:
        stem = plain_name(file.stem)
        name, number = stem, 1
        while name in names:
            number += 1
            name = f"{stem} {number}"
        names.append(name)
    return names
