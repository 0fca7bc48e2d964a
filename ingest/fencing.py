"""What lies on this disk of recordings that another worker has taken over.

The journal is set aside, for what it holds and nobody stored; the spool goes, for all in it
can be made of the journal again. From then on nothing here serves the recording's old part.
"""

import contextlib
import shutil
from pathlib import Path

from core.durable import make_folder, sync
from ingest.folders import Folders
from ingest.journal import Event, JournalReader, journal_files, next_journal_file
from ingest.manifest import ManifestReader, Opened
from ingest.marks import RecordingOpened, from_event


def epoch_here(folders: Folders, recording_id: str) -> int | None:
    """In which epoch this disk writes the recording; None where no file says so yet."""
    for line in ManifestReader(folders.manifest(recording_id)).read()[:1]:
        if isinstance(line, Opened):
            return line.epoch
    for path in journal_files(folders.journal(recording_id)):
        if (epoch := _epoch_of(path)) is not None:
            return epoch
    return None


def _epoch_of(path: Path) -> int | None:
    reader = JournalReader(path)
    try:
        batches = reader.read(1 << 16)
    finally:
        reader.close()
    records = [r for batch in batches[:1] for r in batch.records if isinstance(r, Event)]
    opened = [mark for mark in map(from_event, records) if isinstance(mark, RecordingOpened)]
    return opened[0].epoch if opened else None


def set_aside(folders: Folders, recording_id: str, epoch: int) -> None:
    """May be done again: a receiving process that learned of it later may have begun a file."""
    journal = folders.journal(recording_id)
    kept = folders.fenced(epoch).journal(recording_id)
    make_folder(kept, mode=0o700)
    for path in journal_files(journal):
        path.rename(next_journal_file(kept))
    sync(kept)
    with contextlib.suppress(OSError):
        journal.rmdir()
    spool = folders.spool(recording_id)
    gone = spool.with_name(f".{recording_id}.{epoch}")
    with contextlib.suppress(FileNotFoundError):
        spool.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)
