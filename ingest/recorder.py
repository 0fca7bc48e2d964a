"""Writes one live recording's journal: events and packets of a drain in one write().

Errors of the disk never reach the receiving loop. Events wait and are written later, in order;
packets that could not be written are counted and their stretch is named in the journal as soon
as it can be written again.
"""

import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ingest.journal import MAGIC, Record, next_journal_file, pack_batch, pack_event
from ingest.marks import JournalInterrupted, Mark, RecordingOpened, to_event
from ingest.room_clock import RoomClock, monotonic_us

log = logging.getLogger(__name__)
RETRY_US: Final = 250_000
"""Between attempts while the disk refuses."""

EVENTS_AT_ONCE: Final = 10_000
"""In one batch: far more than wait unless a disk refuses for long, far less than MAX_BATCH."""


class Recorder:
    """One journal file. `opened` becomes its first event; `clock` turns arrivals into room time."""

    def __init__(self, folder: Path, opened: RecordingOpened, clock: RoomClock) -> None:
        self._folder = folder
        self.clock = clock
        self._file: int | None = None
        self._size = 0
        self._torn = False
        self._events: list[bytes] = [pack_event(to_event(opened))]
        self._packets: list[Record] = []
        self.keep: Callable[[Record], None] = self._packets.append
        """Takes one packet's record, whose bytes stay until the next flush; straight into the list,
        because it is called for each."""

        self._failed_since: int | None = None
        self._retry_at = 0
        self._lost_now = 0
        self.packets_written = 0
        self.packets_lost = 0

    @property
    def pending(self) -> bool:
        """Whether something waits for the disk."""
        return bool(self._events or self._packets)

    def write(self, mark: Mark) -> None:
        """Puts an event before the packets of the next flush."""
        self._events.append(pack_event(to_event(mark)))

    def flush(self, now_us: int | None = None) -> None:
        """Everything since the last flush, as one batch that arrived at `now_us` (monotonic)."""
        if not self._events and not self._packets:
            return
        now_us = monotonic_us() if now_us is None else now_us
        if self._failed_since is not None and now_us < self._retry_at:
            self._drop_packets()
            return
        room_us = self.clock.at(now_us)
        try:
            self._append(room_us)
        except OSError as error:
            self._fail(error.strerror or "", now_us, room_us)
            return
        except Exception as error:
            log.exception("journal")  # whatever it is, other rooms go on
            self._fail(type(error).__name__, now_us, room_us)
            return
        self.packets_written += len(self._packets)
        self._events.clear()
        self._packets.clear()

    def _append(self, room_us: int) -> None:
        if self._file is None:
            self._file = self._create()
        while len(self._events) > EVENTS_AT_ONCE:
            self._write_all(self._file, pack_batch(room_us, self._events[:EVENTS_AT_ONCE]))
            del self._events[:EVENTS_AT_ONCE]
        events: list[Record] = list(self._events)
        if self._failed_since is not None:
            # Behind the opening event when the file itself could not be made before.
            events.append(pack_event(to_event(self._interruption(room_us))))
        self._write_all(self._file, pack_batch(room_us, events + self._packets))
        if self._failed_since is not None:
            log.warning("journal is written again; %d packets were lost", self._lost_now)
            self._failed_since, self._lost_now = None, 0

    def _interruption(self, room_us: int) -> JournalInterrupted:
        since = room_us if self._failed_since is None else self._failed_since
        return JournalInterrupted(since // 1000, room_us // 1000, self._lost_now)

    def _create(self) -> int:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = next_journal_file(self._folder)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            self._size, self._torn = 0, False
            self._write_all(file, MAGIC)
        except OSError:
            os.close(file)
            path.unlink()
            raise
        return file

    def _write_all(self, file: int, data: bytes) -> None:
        """All or nothing: a part that fitted is cut off again, so the file stays readable."""
        self._mend(file)
        written = 0
        try:
            while written < len(data):
                written += os.write(file, data[written:])
        except OSError:
            self._torn = written > 0
            with contextlib.suppress(OSError):  # then before the next write
                self._mend(file)
            raise
        self._size += len(data)

    def _mend(self, file: int) -> None:
        if self._torn:
            os.ftruncate(file, self._size)
            self._torn = False

    def _fail(self, reason: str, now_us: int, room_us: int) -> None:
        """Nothing of the failed drain stays: its packets lie in a buffer that is read into next."""
        if self._failed_since is None:
            self._failed_since = room_us
            log.error("journal cannot be written (%s); packets are lost until it can", reason)
        self._retry_at = now_us + RETRY_US
        self._drop_packets()

    def _drop_packets(self) -> None:
        self._lost_now += len(self._packets)
        self.packets_lost += len(self._packets)
        self._packets.clear()

    def close(self) -> None:
        """Flushes what waits; the file stays as it is when that fails."""
        self._retry_at = 0
        self.flush()
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = None
