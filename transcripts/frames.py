"""Messages between the engine and whoever asks it: a JSON object, and sound where there is some.

A frame is two big-endian uint32 (bytes of JSON, bytes of sound), the JSON, then mono float32 PCM
at 16 kHz, little-endian. Both lengths are bounded: what says more is no frame of ours.
"""

import json
import struct
from typing import Any, Final

import numpy as np

from transcripts.transcriber import RATE, WINDOW_SECONDS, Pcm

HEAD: Final = struct.Struct(">II")
MAX_JSON: Final = 1 << 20
MAX_SOUND: Final = int(RATE * WINDOW_SECONDS) * 4

Message = dict[str, Any]


class FrameError(ValueError):
    """The other side speaks something else, or more than it may."""


def pack(message: Message, pcm: Pcm | None = None) -> bytes:
    body = json.dumps(message, ensure_ascii=False).encode()
    sound = b"" if pcm is None else np.ascontiguousarray(pcm, "<f4").tobytes()
    lengths(head := HEAD.pack(len(body), len(sound)))
    return head + body + sound


def lengths(head: bytes) -> tuple[int, int]:
    """Bytes of JSON and of sound that follow. Raises FrameError."""
    of_json, of_sound = HEAD.unpack(head)
    if of_json > MAX_JSON or of_sound > MAX_SOUND or of_sound % 4:
        raise FrameError(f"a frame of {of_json} and {of_sound} bytes")
    return of_json, of_sound


def parse(body: bytes) -> Message:
    try:
        message = json.loads(body)
    except ValueError as error:
        raise FrameError("no JSON") from error
    if not isinstance(message, dict):
        raise FrameError("no JSON object")
    return message


def sound_of(data: bytes) -> Pcm:
    return np.frombuffer(data, "<f4").astype(np.float32, copy=False)
