"""Sound that lies: times, sequence numbers and Opus packets of a speaker who means harm, as a
journal holds them. The others' tracks are as they would be without him; no file outgrows the room.
"""

import contextlib
import random
from pathlib import Path

import pytest

from ingest.folders import Folders
from ingest.journal import Packet
from ingest.manifest import Ended, Line, ManifestReader, SegmentWritten
from ingest.marks import StreamOpened
from ingest.opus import RATE
from ingest.packager import Packager
from tests.ingest.journals import JournalMaker, Voice, participant, tone
from tests.ingest.packing import pack_packet

SECONDS = 6.0
ADA, EVE = participant(1), participant(2)


def room(folders: Folders, *, hostile: bool) -> str:
    maker = JournalMaker(recording_id=f"0199c1d2-0000-7000-8000-00000000000{int(hostile)}")
    maker.record(0, on=True)
    maker.speak(Voice(ADA, tone(SECONDS), start=0.0))
    if hostile:
        lie(maker, random.Random(9))  # noqa: S311 - a test's dice
    maker.end(SECONDS + 0.2)
    maker.write(folders)
    return maker.recording_id


def lie(maker: JournalMaker, draw: random.Random) -> None:
    """Sixteen streams of random times, sequence numbers and payloads, among them every TOC byte."""
    for stream in range(50, 66):
        maker.mark(0.01, StreamOpened(stream, EVE, stream, has_level=True))
    for number in range(4000):
        payload = bytes([number & 255]) + draw.randbytes(draw.choice([0, 1, 2, 60, 1200]))
        packet = Packet(
            draw.randrange(50, 66),
            draw.randrange(1 << 16),
            draw.choice([draw.randrange(1 << 32), number * 960, 0, (1 << 32) - 1]),
            draw.choice([0, 127, 255]),
            payload,
        )
        maker._add(0.02 + number * (SECONDS - 0.1) / 4000, pack_packet(packet))


def package(folders: Folders, recording_id: str) -> list[Line]:
    with contextlib.closing(Packager(folders, recording_id)) as packager:
        while packager.step(0):
            pass
    return ManifestReader(folders.manifest(recording_id)).read()


def written(lines: list[Line], rendition: str) -> list[tuple[str, int, int]]:
    return [
        (s.sha256, s.media_start, s.samples)
        for s in lines
        if isinstance(s, SegmentWritten) and s.rendition == rendition
    ]


@pytest.mark.slow
def test_one_speakers_lies_change_nobody_elses_track_and_no_length(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    honest = package(folders, room(folders, hostile=False))
    lines = package(folders, room(folders, hostile=True))
    assert written(honest, f"track-{ADA}")
    assert written(lines, f"track-{EVE}")
    assert written(lines, f"track-{ADA}") == written(honest, f"track-{ADA}")
    ended = [line for line in lines if isinstance(line, Ended)]
    assert [e.media_samples for e in ended] == [
        e.media_samples for e in honest if isinstance(e, Ended)
    ]
    for rendition in {s.rendition for s in lines if isinstance(s, SegmentWritten)}:
        length = sum(samples for _, _, samples in written(lines, rendition))
        assert length <= (SECONDS + 3) * RATE, rendition
