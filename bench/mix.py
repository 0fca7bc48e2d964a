"""`make bench-mix`: what mixing adds to AAC's own loss, and what it costs.

The mix of a room of four who talk is held against one made offline (tests/ingest/offline.py).
The cost is that of packaging a room of ten, of whom four talk, from its journal.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np

from bench.report import Cell, bench_lines, table
from ingest.folders import Folders
from ingest.opus import RATE
from ingest.packager import Packager
from tests.ingest.journals import JournalMaker, Pcm, Voice, participant
from tests.ingest.offline import compared, room
from tests.ingest.speech import noise

SECONDS: Final = 30.0
SPEAKERS: Final = 10
ROUNDS: Final = 3
NOISE_DBFS: Final = -75.0
LOUD: Final = 0.01


def main() -> None:
    sources = room(SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        found = compared(Path(folder), sources)
    rows: list[list[Cell]] = [
        ["offline mix through AAC", _db(found.aac), -found.aac_segmental_db],
        ["our mix", _db(found.ours), -found.ours_segmental_db],
    ]
    print(table(["what is left beside the offline mix, dB", "whole", "segments"], rows))
    cost = _cost(sources)
    print(f"\nWorst place: {found.misplaced_ms:.2f} ms. Packaging: {cost:.2f} % of a core.\n")
    print(bench_lines({"mix_residual_vs_offline_aac": found.ratio, "mix_cpu_percent": cost}))


def _db(share: float) -> float:
    return float(20 * np.log10(share))


def _cost(sources: Sequence[Pcm]) -> float:
    """Percent of a core: the median of some runs."""
    talking = [_without_pauses(source) for source in sources]
    maker = JournalMaker()
    maker.record(0, on=True)
    for number in range(SPEAKERS):
        silent = noise(SECONDS, NOISE_DBFS, seed=number)
        signal = talking[number] if number < len(talking) else silent
        maker.speak(Voice(participant(number), signal, jitter=0.01, seed=number))
    maker.end(SECONDS)
    return median(_packaging_seconds(maker) / SECONDS * 100 for _ in range(ROUNDS))


def _without_pauses(source: Pcm) -> Pcm:
    """The same words round and round, so that they talk all the time."""
    blocks = source[: source.size // 4800 * 4800].reshape(-1, 4800)
    spoken = blocks[np.abs(blocks).max(axis=1) > LOUD].reshape(-1)
    return np.resize(spoken if spoken.size else source, round(SECONDS * RATE))


def _packaging_seconds(maker: JournalMaker) -> float:
    with tempfile.TemporaryDirectory() as folder:
        folders = Folders(Path(folder))
        maker.write(folders)
        packager = Packager(folders, maker.recording_id)
        began = time.process_time()
        while packager.step(0):
            pass
        packager.close()
        return time.process_time() - began


if __name__ == "__main__":
    main()
