"""Synthetic journals: real Opus packets of tones and clicks, as the receiving process writes them.

Times are seconds on the room's clock. A packet arrives when its last sample was captured, plus
the network's delay; so a sound spoken at `t` has to lie at `t + delay` in every rendition.
"""

import functools
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from uuid import UUID

import av
import numpy as np
import numpy.typing as npt

from core.ids import uuid7
from ingest.folders import Folders
from ingest.journal import (
    AGE_BYTES,
    AGE_US,
    EVENT_TAG,
    LONGEST_AGE,
    MAGIC,
    Packet,
    next_journal_file,
    pack_batch,
    pack_event,
)
from ingest.marks import (
    CloseReason,
    Mark,
    RecordingOpened,
    RecordMark,
    RoomEnded,
    StreamClosed,
    StreamOpened,
    to_event,
)
from ingest.opus import RATE
from tests.ingest.packing import pack_packet

Pcm = npt.NDArray[np.float32]
LIVE_AT_US = 1_790_000_000_000_000


def tone(seconds: float, hertz: float = 440.0, amplitude: float = 0.3) -> Pcm:
    t = np.arange(round(seconds * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * hertz * t)).astype(np.float32)


def quiet(seconds: float) -> Pcm:
    return np.zeros(round(seconds * RATE), np.float32)


def clicks(seconds: float, at: Iterable[float]) -> Pcm:
    """Silence with a 4 ms burst of 2 kHz beginning at each moment."""
    signal = quiet(seconds)
    burst = tone(0.004, 2000, 0.9)
    for moment in at:
        start = round(moment * RATE)
        signal[start : start + burst.size] = burst
    return signal


@functools.lru_cache(maxsize=64)
def _encode(raw: bytes, frame_ms: float, bit_rate: int) -> tuple[bytes, ...]:
    signal = np.frombuffer(raw, np.float32)
    context = av.CodecContext.create("libopus", "w")
    context.sample_rate = RATE
    context.layout = "mono"
    context.format = "flt"
    context.bit_rate = bit_rate
    context.time_base = Fraction(1, RATE)
    context.options = {"application": "voip", "frame_duration": f"{frame_ms:g}"}
    context.open()
    size = context.frame_size
    packets: list[bytes] = []
    for at in range(0, signal.size - size + 1, size):
        frame = av.AudioFrame.from_ndarray(
            signal[at : at + size].reshape(1, -1), format="flt", layout="mono"
        )
        frame.sample_rate, frame.pts, frame.time_base = RATE, at, Fraction(1, RATE)
        packets += [bytes(packet) for packet in context.encode(frame)]
    return tuple(packets)


def opus(signal: Pcm, *, frame_ms: float = 20, bit_rate: int = 32_000) -> tuple[bytes, ...]:
    """Packets of `frame_ms` (2.5 to 120) each; a rest that fills no packet is left out."""
    return _encode(np.ascontiguousarray(signal, np.float32).tobytes(), frame_ms, bit_rate)


def level_of(signal: Pcm) -> int:
    """RFC 6464: 0 is full scale, 127 silence."""
    power = float(np.sqrt(np.mean(np.square(signal)))) if signal.size else 0.0
    return 127 if power <= 0 else min(127, max(0, round(-20 * float(np.log10(power)))))


@dataclass
class Voice:
    """One stream of one speaker, beginning at `start` of the room's clock."""

    participant_id: str
    signal: Pcm
    start: float = 0.0
    frame_ms: float = 20
    delay: float = 0.02
    jitter: float = 0.0
    has_level: bool = True
    seq: int = 1000
    timestamp: int = 5_000_000
    drop: Callable[[int], bool] = lambda index: False
    level: Callable[[int], int] | None = None
    held: tuple[float, float] = (0.0, 0.0)
    """What should arrive between the two comes at the end of it, in one burst."""

    drift: float = 0.0
    """Parts by which the sender's clock runs fast."""

    seed: int = 1


@dataclass
class JournalMaker:
    """Collects timed records and writes them as one or several journal files."""

    recording_id: str = field(default_factory=lambda: str(uuid7()))
    room_id: str = field(default_factory=lambda: str(uuid7()))
    platform_id: str = field(default_factory=lambda: str(uuid7()))
    epoch: int = 1
    live_at_us: int = LIVE_AT_US
    drain_us: int = 10_000
    _records: list[tuple[int, int, bytes]] = field(default_factory=list)
    _streams: int = 0

    def mark(self, at: float, mark: Mark) -> None:
        self._add(at, pack_event(to_event(mark)))

    def _add(self, at: float, record: bytes) -> None:
        self._records.append((round(at * 1_000_000), len(self._records), record))

    def record(self, at: float, *, on: bool, late: float = 0.0) -> None:
        """A record mark that reaches the journal `late` seconds after it took effect."""
        self.mark(at + late, RecordMark(round(at * 1000), on))

    def end(self, at: float) -> None:
        self.mark(at, RoomEnded(round(at * 1000)))

    def speak(self, voice: Voice) -> int:
        """Adds a stream with all its packets; returns its number."""
        self._streams += 1
        stream = self._streams
        opened = StreamOpened(stream, voice.participant_id, 7000 + stream, voice.has_level)
        self.mark(voice.start + voice.delay, opened)
        packets = opus(voice.signal, frame_ms=voice.frame_ms)
        size = round(voice.frame_ms * 48)
        rng = random.Random(voice.seed)  # noqa: S311 - reproducible jitter
        for index, payload in enumerate(packets):
            if voice.drop(index):
                continue
            part = voice.signal[index * size : (index + 1) * size]
            level = level_of(part) if voice.level is None else voice.level(index)
            packet = Packet(
                stream,
                (voice.seq + index) & 0xFFFF,
                (voice.timestamp + index * size) & 0xFFFFFFFF,
                level if voice.has_level else 255,
                payload,
            )
            captured = (index + 1) * size / RATE / (1 + voice.drift)
            delay = voice.delay + rng.random() * voice.jitter
            arrival = voice.start + captured + delay
            held_since, held_until = voice.held
            if held_since <= arrival < held_until:
                arrival = held_until
            self._add(arrival, pack_packet(packet))
        return stream

    def close(self, at: float, stream: int, reason: CloseReason = CloseReason.WITHHELD) -> None:
        self.mark(at, StreamClosed(stream, 0, 0, reason=reason))

    def stall(self, since: float, until: float) -> None:
        """What arrived between the two is only drained at the end of it."""
        first, last = round(since * 1_000_000), round(until * 1_000_000)
        self._records = [
            (last if first <= at < last else at, index, record)
            for at, index, record in self._records
        ]

    def opened(self, at: float, *, restart: bool, last: float = 0.0) -> bytes:
        mark = RecordingOpened(
            self.recording_id,
            self.room_id,
            self.platform_id,
            self.epoch,
            1,
            self.live_at_us,
            restart,
            round(last * 1_000_000),
        )
        return pack_batch(round(at * 1_000_000), [pack_event(to_event(mark))])

    def batches(self, *, first: float = 0.0, last: float = float("inf")) -> list[bytes]:
        """Drains, every `drain_us`, with what arrived from `first` to `last`."""
        drains: dict[int, list[bytes]] = {}
        for at, _, record in sorted(self._records, key=lambda r: r[:2]):
            if first * 1_000_000 <= at < last * 1_000_000:
                drains.setdefault(at // self.drain_us, []).append(self._aged(at, record))
        return [pack_batch((tick + 1) * self.drain_us, records) for tick, records in drains.items()]

    def _aged(self, at: int, record: bytes) -> bytes:
        """A packet's record with what it waited for its drain."""
        if record[0] == EVENT_TAG:
            return record
        waited = (self.drain_us - at % self.drain_us) // AGE_US
        return bytes([AGE_BYTES[min(waited, LONGEST_AGE)]]) + record[1:]

    def write(self, folders: Folders, *, outages: Iterable[tuple[float, float]] = ()) -> Path:
        """Writes the folder; nobody receives in an outage (from, until), then a new file begins."""
        folder = folders.journal(self.recording_id)
        folder.mkdir(parents=True, exist_ok=True)
        begin, last = 0.0, 0.0
        for start, until in [*outages, (float("inf"), float("inf"))]:
            body = self.opened(begin, restart=begin > 0, last=last)
            data = MAGIC + body + b"".join(self.batches(first=begin, last=start))
            next_journal_file(folder).write_bytes(data)
            begin, last = until, start
        return folder


def participant(number: int) -> str:
    return str(UUID(int=0x70000000_0000_7000_8000_000000000000 + number))
