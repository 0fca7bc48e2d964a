"""Spools as a packager leaves them: manifests written by hand beside real fragmented MP4."""

import functools
import hashlib
import io
import struct
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import av
import numpy as np

from core.ids import uuid7
from ingest.folders import Folders
from ingest.manifest import Ended, Line, Opened, RenditionOpened, SegmentWritten, dump
from ingest.spool import GENESIS

LIVE_AT_US = 1_795_000_000_123_456
RATE = 48_000
MEDIA_SECONDS = 24


@dataclass(frozen=True)
class Media:
    """An init segment and the fragments after it, with their lengths in samples."""

    init: bytes
    fragments: tuple[tuple[bytes, int], ...]


class _Sink(io.RawIOBase):
    """What the muxer writes, front to back."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.data += bytes(data)  # type: ignore[call-overload]
        return len(memoryview(data))  # type: ignore[arg-type]


@functools.cache
def media(codec: str, fragment_s: float, frame: int) -> Media:
    """A tone of `MEDIA_SECONDS`, fragmented by PyAV's muxer."""
    sink = _Sink()
    flags = "empty_moov+default_base_moof+cmaf+skip_trailer"
    options = {"movflags": flags, "frag_duration": str(int(fragment_s * 1_000_000))}
    with av.open(sink, "w", format="mp4", options=options) as container:
        stream = container.add_stream(
            codec, rate=RATE, layout="mono", options={"aac_coder": "fast"} if codec == "aac" else {}
        )
        assert isinstance(stream, av.AudioStream)
        for at in range(0, MEDIA_SECONDS * RATE, frame):
            t = np.arange(at, at + frame) / RATE
            tone = (0.2 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)
            audio = av.AudioFrame.from_ndarray(tone.reshape(1, -1), format="flt", layout="mono")
            audio.sample_rate = RATE
            audio.pts = at
            container.mux(stream.encode(audio))
        container.mux(stream.encode(None))
    return _split(bytes(sink.data), frame)


def mix_media() -> Media:
    return media("aac", 2.0, 1024)


def track_media() -> Media:
    return media("libopus", 6.0, 960)


def _split(data: bytes, frame: int) -> Media:
    init, fragments, moof = b"", [], b""
    at = 0
    while at < len(data):
        size, name = struct.unpack_from("!I4s", data, at)
        box = data[at : at + size]
        if name in (b"ftyp", b"moov"):
            init += box
        elif name == b"moof":
            moof = box
        elif name == b"mdat":
            (packets,) = struct.unpack_from("!I", moof, moof.index(b"trun") + 8)
            fragments.append((moof + box, packets * frame))
        at += size
    return Media(init, tuple(fragments))


@dataclass
class Spool:
    """One recording's spool; each method appends what a packager would."""

    folders: Folders
    recording_id: UUID = field(default_factory=uuid7)
    room_id: UUID = field(default_factory=uuid7)
    platform_id: UUID = field(default_factory=uuid7)
    room_ms: float = 0.0
    media_samples: int = 0
    lines: list[Line] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.folders.spool(str(self.recording_id))

    def write(self, *lines: Line) -> None:
        self.lines += lines
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.folders.manifest(str(self.recording_id)).open("ab") as manifest:
            manifest.write(b"".join(dump(line) for line in lines))

    def open(self) -> "Spool":
        self.write(
            Opened(
                recording_id=str(self.recording_id),
                room_id=str(self.room_id),
                platform_id=str(self.platform_id),
                epoch=1,
                revision=1,
                live_at_us=LIVE_AT_US,
            )
        )
        return self

    def open_mix(self) -> "Spool":
        return self._rendition("mix", None, "mp4a.40.2", mix_media().init)

    def open_track(self, participant_id: UUID) -> "Spool":
        name = f"track-{participant_id}"
        return self._rendition(name, str(participant_id), "opus", track_media().init)

    def _rendition(self, name: str, participant_id: str | None, codec: str, init: bytes) -> "Spool":
        file = f"{name}-init.mp4"
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / file).write_bytes(init)
        self.write(RenditionOpened(name, participant_id, codec, file, len(init)))
        return self

    def pause(self, milliseconds: float) -> None:
        self.room_ms += milliseconds

    def mix(self, count: int = 1, *, discontinuity: bool = False) -> None:
        """The next `count` segments; the first of them after a pause if `discontinuity`."""
        for number in range(count):
            sequence = sum(1 for s in self.segments("mix"))
            data, samples = mix_media().fragments[sequence]
            self._segment("mix", data, samples, self.room_ms, discontinuity and number == 0)
            self.room_ms += samples / 48
            self.media_samples += samples

    def track(self, participant_id: UUID, count: int = 1, *, room_start_ms: float = 0.0) -> None:
        name = f"track-{participant_id}"
        for _ in range(count):
            before = self.segments(name)
            data, samples = track_media().fragments[len(before)]
            start = room_start_ms + sum(s.samples for s in before) / 48
            self._segment(name, data, samples, start, discontinuity=False)

    def segments(self, rendition: str) -> list[SegmentWritten]:
        found = [line for line in self.lines if isinstance(line, SegmentWritten)]
        return [line for line in found if line.rendition == rendition]

    def _segment(
        self, name: str, data: bytes, samples: int, room_start_ms: float, discontinuity: bool
    ) -> None:
        before = self.segments(name)
        file = f"{name}-{len(before):06d}.m4s"
        (self.folder / file).write_bytes(data)
        self.write(
            SegmentWritten(
                rendition=name,
                sequence=len(before),
                file=file,
                bytes=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
                previous=before[-1].sha256 if before else GENESIS,
                media_start=sum(s.samples for s in before),
                samples=samples,
                room_start_ms=room_start_ms,
                discontinuity=discontinuity,
            )
        )

    def end(self) -> None:
        self.write(Ended(self.room_ms, self.media_samples, 0, 0))
