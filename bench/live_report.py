"""What `make bench-live` prints: what each server did, and who used the machine meanwhile."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from bench.live_house import HALLS, SPEAKERS
from bench.live_run import Opening, Run, milliseconds
from bench.report import Cell, bench_lines, table

ENOUGH_IDLE: Final = 5.0
"""Percent of a core; with less, times tell of the machine and not of us."""

Runs = Mapping[str, Sequence[Run]]


@dataclass(frozen=True)
class Packets:
    """Of all tracks."""

    sent: int
    received: int
    lost: int

    @property
    def missing(self) -> int:
        return self.sent - self.received + self.lost


def opening_report(listeners: int, opening: Opening) -> str:
    return (
        f"{listeners} streams opened at once in {opening.seconds:.1f} s, web "
        f"{opening.usage.cpu['web']:.0f} % of a core "
        f"({opening.usage.cpu['web'] / 100 * opening.seconds / listeners * 1e3:.2f} ms each), "
        f"one in {milliseconds(opening.took, 50):.0f} ms (p50), "
        f"{milliseconds(opening.took, 99):.0f} ms (p99); the API answered others in "
        f"{milliseconds(opening.answers, 50):.0f} ms (p50), "
        f"{milliseconds(opening.answers, 100):.0f} ms at most; errors: {_told(opening.wrong)}."
    )


def run_report(server: str, run: Run) -> str:
    """One line while the bench goes on."""
    used = ", ".join(f"{name} {share:.0f}" for name, share in run.usage.cpu.items())
    return (
        f"{server}: {run.requests_per_second:.0f} requests/s, "
        f"p99 {milliseconds(run.took, 99):.1f} ms, "
        f"events p99 {milliseconds(run.events, 99):.0f} ms, "
        f"listeners' own delay p99 {milliseconds(run.late, 99):.0f} ms, "
        f"at most {milliseconds(run.late, 100):.0f} ms, errors {_told(run.wrong)}; "
        f"CPU % {used}, idle {run.usage.idle:.0f}, stolen {run.usage.stolen:.0f}"
    )


def report(runs: Runs, listeners: int) -> str:
    columns = ["", "requests/s", "p50 ms", "p99 ms", "max ms", "CPU %", "us a request", "errors"]
    every = [run for results in runs.values() for run in results]
    names = list(every[0].usage.cpu)
    usage: list[list[Cell]] = [
        ["CPU %", *(median(run.usage.cpu[name] for run in every) for name in names)],
        ["waited for a core, %", *(median(run.usage.waited[n] for run in every) for n in names)],
    ]
    machine = [*names, "idle", "stolen"]
    usage[0] += [median(run.usage.idle for run in every), median(r.usage.stolen for r in every)]
    usage[1] += [None, None]
    return "\n".join(
        (
            table(columns, [_row(server, results) for server, results in runs.items()]),
            f"\nThe machine, with {listeners} event streams and {HALLS * SPEAKERS} tracks:\n",
            table(["", *machine], usage),
            f"\nEvents reached the streams after {_middle_event(every, 50):.0f} ms (p50), "
            f"{_middle_event(every, 99):.0f} ms (p99). The listeners' own processes were late by "
            f"{median(milliseconds(run.late, 99) for run in every):.1f} ms (p99), a part of all "
            "these times.",
            *_warning(every),
        )
    )


def _warning(every: Sequence[Run]) -> list[str]:
    starved = [run for run in every if run.usage.idle < ENOUGH_IDLE]
    if not starved:
        return []
    return [
        f"\n**The machine was full in {len(starved)} of {len(every)} rounds** (idle under "
        f"{ENOUGH_IDLE:.0f} % of a core): their times tell of the machine."
    ]


def numbers(runs: Runs, packets: Packets | None) -> str:
    every = [run for results in runs.values() for run in results]
    found = {
        "live_p99_ms": _middle_took(runs["edge"], 99),
        "live_p50_ms": _middle_took(runs["edge"], 50),
        "live_events_p99_ms": _middle_event(every, 99),
    }
    if runs.get("nginx"):
        found["live_cpu_vs_nginx"] = median(
            ours.cpu_per_request("edge") / theirs.cpu_per_request("nginx")
            for ours, theirs in zip(runs["edge"], runs["nginx"], strict=False)
        )
    if packets is not None:
        found["live_packets_lost"] = float(packets.missing)
    return bench_lines(found)


def _row(server: str, runs: Sequence[Run]) -> list[Cell]:
    return [
        server,
        median(run.requests_per_second for run in runs),
        *(_middle_took(runs, which) for which in (50, 99, 100)),
        median(run.usage.cpu[server] for run in runs),
        median(run.cpu_per_request(server) for run in runs),
        _told(sum((run.wrong for run in runs), Counter())),
    ]


def _middle_took(runs: Sequence[Run], which: float) -> float:
    return median(milliseconds(run.took, which) for run in runs)


def _middle_event(runs: Sequence[Run], which: float) -> float:
    return median(milliseconds(run.events, which) for run in runs)


def _told(wrong: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in wrong.items()) or "none"
