"""How much memory a process tree takes at most. Linux only; elsewhere zero."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_EVERY_S: Final = 0.1


@dataclass(slots=True)
class Peak:
    """Resident memory, MB; what processes share is counted in each."""

    mb: float = 0.0


@contextlib.contextmanager
def watched(pid: int) -> Iterator[Peak]:
    """Looks at the tree under `pid` ten times a second until the end of the block."""
    peak, done = Peak(), threading.Event()

    def watch() -> None:
        while not done.wait(_EVERY_S):
            peak.mb = max(peak.mb, sum(map(resident_mb, tree(pid))))

    watcher = threading.Thread(target=watch, daemon=True)
    if sys.platform == "linux":
        watcher.start()
    try:
        yield peak
    finally:
        done.set()
        if watcher.is_alive():
            watcher.join()


def tree(root: int) -> list[int]:
    """`root` and what descends from it."""
    found = [root]
    for pid in found:
        for listed in (_PROC / str(pid) / "task").glob("*/children"):
            with contextlib.suppress(OSError):  # it ended meanwhile
                found += map(int, listed.read_text().split())
    return found


def resident_mb(pid: int) -> float:
    try:
        pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
