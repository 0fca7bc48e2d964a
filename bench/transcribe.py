"""`make bench-transcribe`: our transcript of a room beside plain faster-whisper's.

Against one pass over the mix, which knows no speakers, and against whole tracks, silence and
all: the same model, int8 on one thread, each in a process of its own, in turn. CPU seconds and
memory are those of whole process trees, loading included.
"""

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from bench.memory import watched
from bench.report import Cell, bench_lines, table
from bench.rounds import ROUNDS, interleaved, middle
from bench.spoken_room import SpokenRoom, spoken_room, through_packets, write
from bench.transcribe_webrtc import through_webrtc
from transcripts.accuracy import Accuracy, Said, compare
from transcripts.words import Span

OURS: Final = "Encore"
MIX: Final = "faster-whisper, the mix"
TRACKS: Final = "faster-whisper, whole tracks"
LOSSY: Final = "Encore, packets lost"
SENT: Final = "Encore, over WebRTC"
SENT_LOSSY: Final = "Encore, over WebRTC, packets lost"
SPARSE: Final = 2.0
"""Percent of the packets that WebRTC loses unless told otherwise."""

MINUTES: Final = 18.0
"""What three rounds may take, preparation and report aside."""

_COLUMNS: Final = [
    "",
    "runs",
    "CPU s",
    "of the mix's",
    "WER %",
    "right speaker %",
    "lost turns",
    "peak MB",
]


@dataclass(frozen=True, slots=True)
class Result:
    cpu_s: float
    peak_mb: float
    accuracy: Accuracy
    speakers: bool


async def run(case: str, folder: Path, room: SpokenRoom) -> Result:
    before, since = _children_seconds(), time.monotonic()
    print(f"{time.strftime('%H:%M:%S')} {folder.name} {case} ...", file=sys.stderr, flush=True)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.transcribe_case", case, str(folder), stdout=PIPE
    )
    with watched(child.pid) as peak:
        output, _ = await child.communicate()
    if child.returncode:
        raise SystemExit(f"{case} ended with {child.returncode}")
    rows = [json.loads(line) for line in output.splitlines()]
    said = [Said(name, Span(start, end), text) for name, start, end, text in rows]
    cpu_s, found = _children_seconds() - before, compare(room.turns, said)
    took = f"{time.monotonic() - since:.0f} s, {cpu_s:.0f} CPU s"
    print(f"  {took}, WER {100 * found.wer:.1f} %", file=sys.stderr, flush=True)
    return Result(cpu_s, peak.mb, found, all(s.speaker for s in said))


def _children_seconds() -> float:
    """CPU seconds of all processes that ended under this one."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def main() -> None:
    given = _arguments()
    room = spoken_room()
    room = room.first(given.seconds) if given.seconds else room
    with tempfile.TemporaryDirectory() as folder:
        cases = _prepare(Path(folder), room, given.cases, given.loss / 100)
        if given.webrtc is not None:
            cases |= await _over_webrtc(Path(folder), room, given.webrtc / 100)
        results = await interleaved(
            cases, given.rounds, end_within=60 * given.minutes, rare={TRACKS}
        )
    _report(room, results)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.transcribe", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--loss", type=float, default=0.0, help="percent of packets, simulated")
    parser.add_argument(
        "--webrtc",
        type=float,
        nargs="?",
        const=SPARSE,
        metavar="PERCENT",
        help=f"send the room by real clients, that share of packets lost ({SPARSE:g}): "
        "in real time, then one round, and no peers unless named",
    )
    parser.add_argument("--seconds", type=float, help="only the first so many of the room")
    parser.add_argument(
        "--minutes", type=float, default=MINUTES, help="whole tracks run once where more won't fit"
    )
    parser.add_argument("--cases", nargs="*", default=["mix", "tracks"], help="beside our own")
    if parser.parse_args().webrtc is not None:
        parser.set_defaults(rounds=1, cases=[])
    return parser.parse_args()


def _prepare(
    folder: Path, room: SpokenRoom, peers: list[str], lost: float
) -> dict[str, Callable[[], Awaitable[Result]]]:
    direct, lossy = folder / "direct", folder / "lossy"
    direct.mkdir()
    write(room, direct)
    cases: dict[str, Callable[[], Awaitable[Result]]] = {
        OURS: partial(run, "ours", direct, room),
        **{
            name: partial(run, case, direct, room)
            for name, case in [(MIX, "mix"), (TRACKS, "tracks")]
            if case in peers
        },
    }
    if lost:
        lossy.mkdir()
        write(through_packets(room, lost), lossy)
        cases[LOSSY] = partial(run, "ours", lossy, room)
    return cases


async def _over_webrtc(
    folder: Path, room: SpokenRoom, lost: float
) -> dict[str, Callable[[], Awaitable[Result]]]:
    """The room is said by then: as it arrived whole, and as it arrived with losses."""
    whole, lossy = folder / "webrtc", folder / "webrtc-lossy"
    whole.mkdir()
    lossy.mkdir()
    await through_webrtc(room, {whole: 0.0, lossy: lost})
    return {SENT: partial(run, "ours", whole, room), SENT_LOSSY: partial(run, "ours", lossy, room)}


def _report(room: SpokenRoom, results: dict[str, list[Result]]) -> None:
    talked = sum(turn.span.seconds for turn in room.turns)
    print(f"{room.name}: {room.seconds:.0f} s, {len(room.tracks)} tracks, {talked:.0f} s spoken\n")
    mix = middle(results[MIX], _cpu) if MIX in results else None
    print(table(_COLUMNS, [_row(name, runs, mix) for name, runs in results.items()]))
    for turn in results[OURS][-1].accuracy.lost:
        print(f"\nlost: {turn.speaker}, {turn.span.start_ms / 1000:.1f} s: {turn.text}")
    print(f"\n{bench_lines(_numbers(results))}")


def _cpu(result: Result) -> float:
    return result.cpu_s


def _wer(result: Result) -> float:
    return 100 * result.accuracy.wer


def _right(result: Result) -> float:
    return 100 * result.accuracy.right_speaker


def _lost(result: Result) -> float:
    return len(result.accuracy.lost)


def _peak(result: Result) -> float:
    return result.peak_mb


def _row(name: str, runs: list[Result], mix: float | None) -> list[Cell]:
    cpu = middle(runs, _cpu)
    right = middle(runs, _right) if runs[0].speakers else None
    return [
        name,
        len(runs),
        cpu,
        cpu / mix if mix else None,
        middle(runs, _wer),
        right,
        middle(runs, _lost),
        middle(runs, _peak),
    ]


def _numbers(results: dict[str, list[Result]]) -> dict[str, float]:
    ours = results[OURS]
    numbers = {
        "transcribe_wer_percent": middle(ours, _wer),
        "transcribe_right_speaker_percent": middle(ours, _right),
        "transcribe_lost_turns": middle(ours, _lost),
        "transcribe_cpu_seconds": middle(ours, _cpu),
        "transcribe_peak_mb": middle(ours, _peak),
    }
    for name, peer in (("mix", MIX), ("tracks", TRACKS)):
        if peer in results:
            numbers[f"transcribe_cpu_vs_{name}"] = middle(ours, _cpu) / middle(results[peer], _cpu)
            numbers[f"transcribe_wer_percent_{name}"] = middle(results[peer], _wer)
    base = numbers["transcribe_wer_percent"]
    if LOSSY in results:
        lossy = middle(results[LOSSY], _wer)
        numbers["transcribe_wer_percent_with_loss"] = lossy
        numbers["transcribe_wer_points_of_loss"] = lossy - base
    if SENT in results:
        lossy = middle(results[SENT_LOSSY], _wer)
        numbers["transcribe_webrtc_wer_percent"] = middle(results[SENT], _wer)
        numbers["transcribe_webrtc_wer_percent_with_loss"] = lossy
        numbers["transcribe_webrtc_loss_points"] = lossy - base
    return numbers


if __name__ == "__main__":
    asyncio.run(main())
