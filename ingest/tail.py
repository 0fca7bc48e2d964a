"""Reading a recording's journal as it grows, file after file, and telling its clock's now."""

from collections import deque
from itertools import islice
from pathlib import Path
from typing import Final

from core.durable import sync
from ingest.journal import JournalReader, RawBatch, following_file, journal_files

READ_BYTES: Final = 1 << 20
LAG_WINDOW_US: Final = 5_000_000


class JournalTail:
    """All files of one folder as one sequence of batches."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._reader: JournalReader | None = None
        self._later: Path | None = None
        """What the file after the one that is read will be called."""

        self._named: Path | None = None

    def read(self) -> list[RawBatch]:
        """What came since the last call, at most about 1 MiB; empty when caught up."""
        if self._reader is None and not self._next_file():
            return []
        if batches := self._read_on():
            return batches
        while self._has_later_file():
            # What was written between the last read and the birth of the later file.
            if batches := self._read_on():
                return batches
            self._next_file()
            if batches := self._read_on():
                return batches
        return []

    def _read_on(self) -> list[RawBatch]:
        return self._reader.read_raw(READ_BYTES) if self._reader is not None else []

    def _has_later_file(self) -> bool:
        return self._later is not None and self._later.exists()

    def _next_file(self) -> bool:
        later = self._first_file() if self._later is None else self._later
        if later is None or not later.exists():
            return False
        self.fsync()
        self.close()
        self._reader, self._later = JournalReader(later), following_file(later)
        return True

    def _first_file(self) -> Path | None:
        return next(iter(journal_files(self._folder)), None)

    @property
    def modified_us(self) -> int | None:
        """Unix time at which the file that was read last was written to last."""
        if self._reader is None:
            return None
        return self._reader.path.stat().st_mtime_ns // 1000

    def fsync(self) -> None:
        """Makes what was read survive power loss: bytes, and once a file the names above them.

        Here and not where it is written: the receiving loop waits for no disk.
        """
        if self._reader is None:
            return
        self._reader.fsync()
        if self._reader.path != self._named:
            for folder in (self._folder, *islice(self._folder.parents, 2)):
                sync(folder)
            self._named = self._reader.path

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


class JournalClock:
    """The room's clock between batches, for when nothing arrives.

    Follows this machine's clock, corrected by the smallest age of batches at the time when
    they were written or read: the receiving process took the offset to the database.
    """

    def __init__(self, live_at_us: int) -> None:
        self._live_at_us = live_at_us
        self._ages: deque[tuple[int, int]] = deque()
        self._age = 0

    def observe(self, room_us: int, wall_us: int) -> None:
        """A batch of this time was there at this Unix time (microseconds)."""
        age = wall_us - self._live_at_us - room_us
        while self._ages and self._ages[-1][1] >= age:
            self._ages.pop()
        self._ages.append((wall_us, age))
        while self._ages[0][0] < wall_us - LAG_WINDOW_US:
            self._ages.popleft()
        self._age = self._ages[0][1]

    def now(self, wall_us: int) -> int:
        """Room time in microseconds."""
        return wall_us - self._live_at_us - self._age
