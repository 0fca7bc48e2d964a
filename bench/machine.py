"""How busy the whole machine is, and how long processes that could run had to wait for a core.

Without these nobody can tell a slow server from a starved one. Linux only; elsewhere zeros.
"""

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

_PROC: Final = Path("/proc")


def waited_seconds(pid: int) -> float:
    """Seconds that the threads of a process were ready and had no core (proc(5), schedstat)."""
    total = 0.0
    for task in (_PROC / str(pid) / "task").glob("*/schedstat"):
        try:
            total += int(task.read_text().split()[1]) / 1e9
        except (OSError, IndexError):
            continue  # the thread ended meanwhile, or the kernel does not count
    return total


@dataclass(frozen=True, slots=True)
class Moment:
    """Seconds of all cores so far, as the first line of /proc/stat counts them."""

    at: float
    idle: float
    stolen: float

    @classmethod
    def now(cls) -> Self:
        if sys.platform != "linux":
            return cls(time.monotonic(), 0.0, 0.0)
        ticks = os.sysconf("SC_CLK_TCK")
        fields = (_PROC / "stat").read_text().split("\n", 1)[0].split()
        user, nice, system, idle, iowait, irq, soft, stolen = (int(f) / ticks for f in fields[1:9])
        del user, nice, system, irq, soft
        return cls(time.monotonic(), idle + iowait, stolen)

    def until(self, later: "Moment") -> dict[str, float]:
        """Percent of a core that was idle, and that the host gave to others."""
        seconds = max(later.at - self.at, 1e-9)
        return {
            "idle": (later.idle - self.idle) / seconds * 100,
            "stolen": (later.stolen - self.stolen) / seconds * 100,
        }
