"""Packages a synthetic journal, and looks at the manifest that it leaves."""

import contextlib

from ingest.folders import Folders
from ingest.manifest import Line, ManifestReader, SegmentWritten
from ingest.packager import Packager


def package(folders: Folders, recording_id: str) -> list[Line]:
    """Packages a journal that is complete; the wall clock never gets ahead of it."""
    with contextlib.closing(Packager(folders, recording_id)) as packager:
        while packager.step(0):
            pass
    return ManifestReader(folders.manifest(recording_id)).read()


def segments(lines: list[Line], rendition: str) -> list[SegmentWritten]:
    return [s for s in lines if isinstance(s, SegmentWritten) and s.rendition == rendition]


def check_chain(lines: list[Line]) -> None:
    """Every rendition is gapless, hash-chained and numbered from 0."""
    last: dict[str, SegmentWritten] = {}
    for line in lines:
        if not isinstance(line, SegmentWritten):
            continue
        before = last.get(line.rendition)
        if before is None:
            assert line.sequence == 0
        else:
            assert line.sequence == before.sequence + 1
            assert line.media_start == before.media_start + before.samples
            assert line.previous == before.sha256
        last[line.rendition] = line
