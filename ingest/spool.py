"""Files of one recording on this disk: durable before named.

A segment's bytes are fsynced before its line enters the manifest, so the manifest never names
what a crash could take back. A file that was half written is simply written again.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from core.durable import make_folder, sync
from ingest import manifest
from ingest.manifest import (
    Continued,
    Ended,
    GapFound,
    HandedOver,
    LevelsKnown,
    Line,
    ManifestReader,
    Opened,
    RenditionOpened,
    SegmentWritten,
)
from ingest.spans import PER_MS

MANIFEST: Final = "manifest.jsonl"
MIX: Final = "mix"
GENESIS: Final = "0" * 64
"""What the first segment of a rendition chains to."""


@dataclass(slots=True)
class Written:
    """What the manifest already names, read at a restart."""

    opened: Opened | None = None
    continued: Continued | None = None
    renditions: set[str] = field(default_factory=set)
    last: dict[str, SegmentWritten] = field(default_factory=dict)
    gaps: list[GapFound] = field(default_factory=list)
    levels: dict[str, dict[str, Any]] = field(default_factory=dict)
    ended: Ended | None = None
    handed_over: HandedOver | None = None
    spans: dict[int, int] = field(default_factory=dict)
    """Media position at which each span of the mix begins, and where what is written of it ends."""

    def take(self, line: Line) -> None:
        match line:
            case Opened():
                self.opened = line
            case RenditionOpened():
                self.renditions.add(line.rendition)
            case Continued():
                self.continued = line
            case SegmentWritten():
                self._take_segment(line)
            case GapFound():
                self.gaps.append(line)
            case LevelsKnown():
                self.levels.update(line.speakers)
            case Ended():
                self.ended = line
            case HandedOver():
                self.handed_over = line

    def _take_segment(self, line: SegmentWritten) -> None:
        self.last[line.rendition] = line
        if line.rendition == MIX:
            if line.discontinuity or not self.spans:
                self.spans[line.media_start] = line.media_start
            self.spans[next(reversed(self.spans))] = line.media_start + line.samples


class Spool:
    """`stage` files and lines, `commit` makes them durable and then visible, in that order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        make_folder(folder)
        self.written = Written()
        self._files: list[tuple[str, bytes]] = []
        self._lines: list[Line] = []
        self._recover()

    def _recover(self) -> None:
        """Cuts a torn last line off and reads what stands."""
        path = self.folder / MANIFEST
        if not path.exists():
            return
        reader = ManifestReader(path)
        for line in reader.read():
            self.written.take(line)
        with path.open("r+b") as file:
            file.truncate(reader.offset)

    def stage(self, line: Line, *, file: str = "", data: bytes = b"") -> None:
        if file:
            self._files.append((file, data))
        self._lines.append(line)
        self.written.take(line)

    @property
    def waiting(self) -> tuple[Line, ...]:
        """What the next commit names."""
        return tuple(self._lines)

    def commit(self, sync_journal: Callable[[], None]) -> None:
        """Durable: the files, their folder, the journal they came from; then the manifest."""
        if not self._lines:
            return
        if self._files:
            self._write_files()
            sync(self.folder)
            sync_journal()
        with (self.folder / MANIFEST).open("ab") as lines:
            is_new = lines.tell() == 0
            lines.write(b"".join(map(manifest.dump, self._lines)))
            _sync(lines)
        if is_new:
            sync(self.folder)
        self._files.clear()
        self._lines.clear()

    def _write_files(self) -> None:
        """All are written before the first is synced: the disk then takes them at once."""
        with contextlib.ExitStack() as files:
            opened: list[BinaryIO] = []
            for name, data in self._files:
                file = files.enter_context((self.folder / name).open("wb"))
                file.write(data)
                file.flush()
                opened.append(file)
            for written in opened:
                _sync(written)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


class RenditionWriter:
    """Numbers, names and chains the segments of one rendition."""

    def __init__(
        self, spool: Spool, name: str, *, participant_id: str | None, codec: str, init: bytes
    ) -> None:
        self.name = name
        self._spool = spool
        self._participant_id = participant_id
        self._codec = codec
        self._init = init

    @property
    def last(self) -> SegmentWritten | None:
        return self._spool.written.last.get(self.name)

    @property
    def next_sequence(self) -> int:
        return 0 if self.last is None else self.last.sequence + 1

    @property
    def media_end(self) -> int | None:
        """Where the named segments end; None when there is none."""
        return None if self.last is None else self.last.media_start + self.last.samples

    @property
    def _placement(self) -> str:
        """In file names, and so in object keys, of every worker but the recording's first."""
        opened = self._spool.written.opened
        return "" if opened is None or opened.epoch == 1 else f"-e{opened.epoch}"

    def write(
        self, data: bytes, *, media_start: int, samples: int, room_start: int, discontinuity: bool
    ) -> None:
        """Stages one segment; `room_start` is the room's clock in samples at its first one."""
        if self.name not in self._spool.written.renditions:
            self._open()
        file = f"{self.name}-{self.next_sequence:06d}{self._placement}.m4s"
        line = SegmentWritten(
            rendition=self.name,
            sequence=self.next_sequence,
            file=file,
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            previous=GENESIS if self.last is None else self.last.sha256,
            media_start=media_start,
            samples=samples,
            room_start_ms=room_start / PER_MS,
            discontinuity=discontinuity,
        )
        self._spool.stage(line, file=file, data=data)

    def _open(self) -> None:
        file = f"{self.name}-init{self._placement}.mp4"
        line = RenditionOpened(self.name, self._participant_id, self._codec, file, len(self._init))
        self._spool.stage(line, file=file, data=self._init)
