"""Renditions decoded to samples, each at its place on the media timeline; bounded memory.

Sample n of every stem is sample n of the media timeline: Opus packets are placed so that what
comes out of a decoder, which lags by its look-ahead, lies where it was said (ingest/rtpclock.py),
and AAC frames lie where their input lay (ingest/aac.py).
"""

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

import av
import numpy as np

from ingest.aac import audio_specific_config
from ingest.decoder import Pcm, make_decoder
from ingest.opus import RATE, is_filler
from ingest.voice import CONCEALED
from replay.fragments import fragments

Packet = tuple[bytes, int]
"""Its bytes, and its length in samples."""

SILENCE: Final = np.zeros(RATE, np.float32)


class Voice(Protocol):
    """Decodes consecutive packets of one rendition."""

    def decode(self, packets: Sequence[Packet]) -> Iterator[Pcm]:
        """As many samples as the packets say; silence where one is broken."""
        ...


class OpusVoice:
    """Packets that were lost, and which the packager filled the track with silence for, are
    concealed as in the mix (ingest/voice.py): short ones that lie between packets of one call."""

    def __init__(self) -> None:
        self._decoder = make_decoder()

    def decode(self, packets: Sequence[Packet]) -> Iterator[Pcm]:
        hole: list[Packet] = []
        for number, (packet, samples) in enumerate(packets):
            if is_filler(packet):
                hole.append((packet, samples))
                continue
            yield from self._fill(hole, packet if number > len(hole) else None)
            hole.clear()
            yield self._decode(packet, samples)
        yield from self._fill(hole, None)

    def _fill(self, hole: Sequence[Packet], following: bytes | None) -> Iterator[Pcm]:
        lost = sum(samples for _, samples in hole)
        if following is not None and 0 < lost <= CONCEALED:
            yield _exactly(self._decoder.conceal(lost, following), lost).copy()
        else:
            yield from (self._decode(*packet) for packet in hole)

    def _decode(self, packet: bytes, samples: int) -> Pcm:
        return _exactly(self._decoder.decode(packet), samples).copy()


class AacVoice:
    def __init__(self) -> None:
        self._context = av.CodecContext.create("aac", "r")
        self._context.extradata = audio_specific_config()

    def decode(self, packets: Sequence[Packet]) -> Iterator[Pcm]:
        return (self._decode(*packet) for packet in packets)

    def _decode(self, packet: bytes, samples: int) -> Pcm:
        try:
            frames = self._context.decode(av.Packet(packet))
        except av.error.FFmpegError:
            return np.zeros(samples, np.float32)
        parts = [frame.to_ndarray().reshape(-1).astype(np.float32) for frame in frames]
        return _exactly(np.concatenate(parts) if parts else SILENCE[:0], samples)


def _exactly(pcm: Pcm, samples: int) -> Pcm:
    return pcm[:samples] if pcm.size >= samples else np.pad(pcm, (0, samples - pcm.size))


class Stem:
    """Takes the segments of a rendition in order, and gives samples from media position 0 on."""

    def __init__(self, codec: str) -> None:
        self._codec = codec
        self._voice = self._new_voice()
        self.position = 0
        """How many samples have been given."""

    def _new_voice(self) -> Voice:
        return OpusVoice() if self._codec == "opus" else AacVoice()

    def segment(self, data: bytes, *, discontinuity: bool) -> Iterator[Pcm]:
        """The sound of one segment, after silence where nobody was before it.

        Raises BrokenFragment.
        """
        for number, fragment in enumerate(fragments(data)):
            if number == 0 and (discontinuity or fragment.start > self.position):
                yield from self.finish(fragment.start)
                self._voice = self._new_voice()
            if parts := list(self._voice.decode(fragment.packets)):
                pcm = np.concatenate(parts)
                self.position += pcm.size
                yield pcm

    def finish(self, length: int) -> Iterator[Pcm]:
        """Silence up to `length`."""
        while self.position < length:
            part = SILENCE[: min(length - self.position, SILENCE.size)]
            self.position += part.size
            yield part
