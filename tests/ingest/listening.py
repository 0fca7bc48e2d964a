"""Renditions of a spool, decoded back through PyAV."""

import io
from dataclasses import dataclass

import av
import numpy as np
import numpy.typing as npt

from ingest.folders import Folders
from ingest.manifest import ManifestReader, RenditionOpened, SegmentWritten
from ingest.opus import RATE


@dataclass
class Heard:
    """`signal[n]` is what a player plays at media sample `n`; `end` that of the last frame."""

    signal: npt.NDArray[np.float32]
    end: int


def file_of(folders: Folders, recording_id: str, rendition: str) -> bytes:
    """The rendition as one file: the init segment and all that the manifest names."""
    spool = folders.spool(recording_id)
    parts: list[bytes] = []
    for line in ManifestReader(folders.manifest(recording_id)).read():
        if isinstance(line, RenditionOpened | SegmentWritten) and line.rendition == rendition:
            parts.append((spool / line.file).read_bytes())
            assert len(parts[-1]) == line.bytes
    return b"".join(parts)


def decode(folders: Folders, recording_id: str, rendition: str) -> Heard:
    return decode_bytes(file_of(folders, recording_id, rendition))


def decode_bytes(data: bytes) -> Heard:
    pieces: list[tuple[int, npt.NDArray[np.float32]]] = []
    with av.open(io.BytesIO(data), mode="r") as container:
        for frame in container.decode(audio=0):
            pcm = frame.to_ndarray().reshape(-1)
            if np.issubdtype(pcm.dtype, np.integer):
                pcm = pcm / 32768
            assert frame.pts is not None
            pieces.append((frame.pts, pcm.astype(np.float32)))
    end = max((start + pcm.size for start, pcm in pieces), default=0)
    signal = np.zeros(end, np.float32)
    for start, pcm in pieces:
        signal[start : start + pcm.size] = pcm
    return Heard(signal, end)


def onset(heard: Heard, around: float, *, within: float = 0.1) -> float:
    """Second at which the loudest sound within `within` of `around` begins."""
    start = max(round((around - within) * RATE), 0)
    part = np.abs(heard.signal[start : round((around + within) * RATE)])
    assert part.size
    assert part.max() > 0.05, "silent"
    return (start + int(np.argmax(part > 0.3 * part.max()))) / RATE


def rms(signal: npt.NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(signal.astype(np.float64) ** 2)))
