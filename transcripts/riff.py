"""What a WAV file says of its length, which FFmpeg corrects without a word."""

import struct
from pathlib import Path
from typing import BinaryIO, Final

MOST_CHUNKS: Final = 64
UNKNOWN: Final = 0xFFFFFFFF
"""The size that a pipe writes, which nobody can go back in."""

_CHUNK: Final = struct.Struct("<4sI")
_BYTE_RATE: Final = struct.Struct("<8xI")


def missing_seconds(path: Path) -> float:
    """Of the sound that the header promises, what the file does not hold; 0 of other formats."""
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return 0.0
        return _missing(file, path.stat().st_size)


def _missing(file: BinaryIO, length: int) -> float:
    byte_rate = 0
    for _ in range(MOST_CHUNKS):
        head = file.read(_CHUNK.size)
        if len(head) < _CHUNK.size:
            break
        name, size = _CHUNK.unpack(head)
        begins = file.tell()
        if name == b"fmt " and size >= _BYTE_RATE.size:
            known = file.read(_BYTE_RATE.size)
            byte_rate = _BYTE_RATE.unpack(known)[0] if len(known) == _BYTE_RATE.size else 0
        if name == b"data":
            missing = begins + size - length
            return missing / byte_rate if byte_rate and missing > 0 and size != UNKNOWN else 0.0
        file.seek(begins + size + size % 2)
    return 0.0
