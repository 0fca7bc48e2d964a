"""What stems may be written as; apart, for the command line must not load codecs to know it."""

from enum import StrEnum


class Format(StrEnum):
    FLAC = "flac"
    WAV = "wav"
    OPUS = "opus"
