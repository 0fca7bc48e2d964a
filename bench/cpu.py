"""CPU time of whole process trees, and cores of their own for those that are compared.

Linux tells by `/proc/<pid>/stat`, elsewhere `ps` does. A process counts with its threads, its
living descendants, and those that ended and were waited for.
"""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

_PROC: Final = Path("/proc")


class Process(NamedTuple):
    """`seconds` of user and system time, on Linux with those of children that ended."""

    pid: int
    parent: int
    seconds: float


def parse_stat(text: str, ticks: int) -> Process:
    """One `/proc/<pid>/stat` (proc(5)); `ticks` are the kernel's clock ticks a second."""
    pid, _, rest = text.partition(" (")
    # The name may hold spaces and parentheses; the fields follow the last one.
    fields = rest.rpartition(")")[2].split()
    used = sum(int(field) for field in fields[11:15])  # utime, stime, cutime, cstime
    return Process(int(pid), int(fields[1]), used / ticks)


def parse_ps(text: str) -> list[Process]:
    """The lines of `ps -A -o pid=,ppid=,time=`, where time is [[days-]hours:]minutes:seconds."""
    return [
        Process(int(pid), int(parent), _seconds(time))
        for pid, parent, time in (line.split() for line in text.splitlines())
    ]


def _seconds(time: str) -> float:
    days, _, clock = time.rpartition("-")
    seconds = 0.0
    for part in clock.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds + 86_400 * int(days or 0)


def tree_seconds(processes: Iterable[Process], root: int) -> float:
    """CPU seconds of `root` and all that descends from it; 0 when it is not there."""
    by_pid = {process.pid: process for process in processes}
    total, wanted = 0.0, [root]
    while wanted:
        pid = wanted.pop()
        process = by_pid.pop(pid, None)
        total += 0 if process is None else process.seconds
        wanted += [p.pid for p in by_pid.values() if p.parent == pid]
    return total


def _proc_processes() -> Iterator[Process]:
    ticks = os.sysconf("SC_CLK_TCK")
    for folder in _PROC.glob("[0-9]*"):
        try:
            yield parse_stat((folder / "stat").read_text(), ticks)
        except OSError:
            continue  # it ended meanwhile


def _processes() -> list[Process]:
    if sys.platform == "linux":
        return list(_proc_processes())
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,time="], check=True, capture_output=True, text=True
    )
    return parse_ps(listed.stdout)


def cpu_seconds(*roots: int) -> float:
    """CPU seconds so far of the process trees under `roots`, which must not share processes."""
    processes = _processes()
    return sum(tree_seconds(processes, root) for root in roots)


def cores() -> tuple[set[int], set[int]]:
    """One core for what is measured, the others for those who load it.

    The same for both where there is one core, none where the system does not pin (macOS).
    """
    if sys.platform != "linux":
        return set(), set()
    first, *others = sorted(os.sched_getaffinity(0))
    return {first}, set(others) or {first}


def pin(pid: int, wanted: set[int]) -> None:
    """Keeps a process, and those it starts from now on, to these cores; 0 is the caller."""
    if sys.platform == "linux" and wanted:
        os.sched_setaffinity(pid, wanted)
