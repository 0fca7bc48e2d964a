"""Where packets of a simulated two-hour room end up, against where they were spoken.

Clocks that run 150 ppm off and change, 2 % loss in bursts, heavy-tailed jitter, stalls, DTX;
placed by the packager's own timelines and cut, from drains as the receiving socket makes them.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np
import numpy.typing as npt

from bench.report import bench_lines, table
from ingest.cut import Cut
from ingest.endpoint import DRAIN_SECONDS
from ingest.journal import AGE_US, LONGEST_AGE, NO_LEVEL, Packet
from ingest.opus import LOOKAHEAD, RATE
from ingest.timeline import Counts, TrackTimeline

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

HOURS: Final = 2.0
DRAIN_EXTRA_S: Final = 0.0003
"""What a drain takes itself, on average: its beat never keeps time with the clients'."""

PPM: Final = 1e-6
TOCS: Final = {480: 0xF0, 960: 0xF8, 1920: 0xF9}


@dataclass(frozen=True, slots=True)
class Simulated:
    """One speaker's client and network. Drift in ppm; delays in seconds; shares of packets."""

    name: str
    drift: float = 0.0
    swing: float = 0.0
    """Drift that comes and goes around `drift`, over 40 minutes."""

    samples: int = 960
    delay: float = 0.04
    jitter: float = 0.008
    """Mean of an exponential."""

    heavy: float = 0.0
    """Scale of a Pareto tail (of shape 1.5, up to 1 s) on top."""

    loss: float = 0.02
    burst: float = 1.0
    """Mean length of a loss, in packets."""

    stalls: int = 0
    """How often nothing comes for up to 1.5 s, and then all of it at once."""

    dtx: bool = False
    has_level: bool = True


SPEAKERS: Final = (
    Simulated("fast", drift=150),
    Simulated("slow, losses in bursts", drift=-150, burst=5),
    Simulated("changing, heavy tail", swing=150, heavy=0.004),
    Simulated("fast, DTX, losses in bursts", drift=150, dtx=True, burst=4),
    Simulated("slow, no level, 40 ms", drift=-150, samples=1920, has_level=False),
    Simulated("changing, stalls, DTX", drift=60, swing=90, stalls=200, heavy=0.004, dtx=True),
)


@dataclass(slots=True)
class Track:
    """The outcome: error of each placed packet, in milliseconds."""

    speaker: Simulated
    errors: Floats
    counts: Counts

    def percentile(self, part: float) -> float:
        return float(np.percentile(self.errors, part))

    @property
    def row(self) -> list[str | int | float]:
        counts = self.counts
        figures = [self.percentile(50), self.percentile(99), float(self.errors.max())]
        return [self.speaker.name, self.errors.size, *figures, counts.lost, counts.cut, counts.late]


@dataclass(slots=True)
class _Sent:
    """What a client sends: `captured` is when each packet's last sample was."""

    captured: Floats
    arrival: Floats
    quiet: Flags
    sent: Flags
    kept: Flags


def _spurts(rng: np.random.Generator, count: int, packet_s: float) -> Flags:
    """Whether somebody is silent: words of 3 s, pauses of 1.5 s and, rarely, of a minute."""
    quiet = np.zeros(count, np.bool_)
    at = 0
    while at < count:
        at += 1 + int(rng.exponential(3.0) / packet_s)
        pause = 60.0 if rng.random() < 0.03 else 1.5
        until = at + 1 + int(rng.exponential(pause) / packet_s)
        quiet[at:until] = True
        at = until
    return quiet


def _losses(rng: np.random.Generator, count: int, share: float, burst: float) -> Flags:
    """A Gilbert model: `share` of all packets, `burst` in a row on average."""
    lost = np.zeros(count, np.bool_)
    at = 0
    while share and at < count:
        at += 1 + int(rng.exponential(burst * (1 - share) / share))
        until = at + int(rng.geometric(1 / burst))
        lost[at:until] = True
        at = until
    return lost


def _send(speaker: Simulated, rng: np.random.Generator, seconds: float) -> _Sent:
    count = int(seconds * RATE / speaker.samples)
    rtp_s = (np.arange(count) + 1) * (speaker.samples / RATE)
    wave = 2 * np.pi / 2400
    swung = speaker.swing * PPM * (1 - np.cos(wave * rtp_s)) / wave
    captured = rtp_s - speaker.drift * PPM * rtp_s - swung
    quiet = _spurts(rng, count, speaker.samples / RATE)
    delay = speaker.delay + rng.exponential(speaker.jitter, count)
    if speaker.heavy:
        delay += np.minimum(speaker.heavy * rng.pareto(1.5, count), 1.0)
    arrival = captured + delay
    for begin in rng.uniform(10, seconds - 10, speaker.stalls):
        held = (arrival >= begin) & (arrival < (end := begin + rng.uniform(0.2, 1.5)))
        arrival[held] = end
    sent = ~quiet | (np.arange(count) % 20 == 0) if speaker.dtx else np.ones(count, np.bool_)
    lost = _losses(rng, count, speaker.loss, speaker.burst)
    return _Sent(captured, arrival, quiet, sent, sent & ~lost)


def _packets(number: int, speaker: Simulated, sent: _Sent) -> Iterator[tuple[float, int, Packet]]:
    """In order of sending; the payload holds the packet's index."""
    head, tail = bytes([TOCS[speaker.samples]]), bytes(40)
    seqs = (np.cumsum(sent.sent) + 65_000 * number) & 0xFFFF
    times = (np.arange(seqs.size) * speaker.samples + (number << 31)) & 0xFFFFFFFF
    levels = np.where(sent.quiet, 90, 30) if speaker.has_level else np.full(seqs.size, NO_LEVEL)
    for index in np.flatnonzero(sent.kept).tolist():
        payload = head + index.to_bytes(4, "little") + tail
        packet = Packet(number, int(seqs[index]), int(times[index]), int(levels[index]), payload)
        yield float(sent.arrival[index]), number, packet


def simulate(
    speakers: tuple[Simulated, ...] = SPEAKERS, *, hours: float = HOURS, seed: int = 1
) -> list[Track]:
    """Places everything; errors are absolute, against capture time plus the path's least delay."""
    rng = np.random.default_rng(seed)
    everything = [_send(speaker, rng, hours * 3600) for speaker in speakers]
    timelines = [TrackTimeline() for _ in speakers]
    arrivals = [
        arrived
        for number, (speaker, sent) in enumerate(zip(speakers, everything, strict=True))
        for arrived in _packets(number, speaker, sent)
    ]
    arrivals.sort(key=lambda arrived: arrived[0])
    count = int(hours * 3600 / DRAIN_SECONDS)
    drains = np.cumsum(DRAIN_SECONDS + rng.exponential(DRAIN_EXTRA_S, count))
    drained = np.searchsorted(drains, [arrived[0] for arrived in arrivals])
    for number, timeline in enumerate(timelines):
        timeline.open(number)
    starts = [np.full(sent.captured.size, np.nan) for sent in everything]
    cut = Cut()
    for drain, group in groupby(
        zip(drained.tolist(), arrivals, strict=True), key=lambda each: each[0]
    ):
        room_us = round(float(drains[drain]) * 1_000_000)
        for _, (arrival, number, packet) in group:
            waited = round((float(drains[drain]) - arrival) * 1_000_000) // AGE_US
            timelines[number].push(packet._replace(age=min(waited, LONGEST_AGE)), room_us)
        for horizon in cut.move(room_us, timelines):
            _place(timelines, starts, horizon)
    _place(timelines, starts, None)
    return [
        Track(speaker, _errors(speaker, sent, start), timeline.counts)
        for speaker, sent, start, timeline in zip(
            speakers, everything, starts, timelines, strict=True
        )
    ]


def _place(timelines: list[TrackTimeline], starts: list[Floats], horizon: int | None) -> None:
    for timeline, start in zip(timelines, starts, strict=True):
        for placed in (one for run in timeline.advance(horizon) for one in run.singly()):
            start[int.from_bytes(placed.payload[1:5], "little")] = placed.start


def _errors(speaker: Simulated, sent: _Sent, starts: Floats) -> Floats:
    truth = (sent.captured + speaker.delay) * RATE - speaker.samples - LOOKAHEAD
    errors: Floats = np.abs(starts - truth)
    return errors[~np.isnan(starts)] * 1000 / RATE


def p99(tracks: list[Track]) -> float:
    return float(np.percentile(np.concatenate([track.errors for track in tracks]), 99))


def main() -> None:
    began = time.process_time()
    tracks = simulate()
    took = time.process_time() - began
    columns = ["speaker", "placed", "p50 ms", "p99 ms", "max ms", "lost", "cut", "late"]
    print(table(columns, [track.row for track in tracks]))
    placed = sum(track.errors.size for track in tracks)
    print(f"\n{placed} packets of {HOURS:g} h in {took:.1f} s of CPU, simulation included")
    print(bench_lines({"timeline_p99_ms": p99(tracks)}))


if __name__ == "__main__":
    main()
