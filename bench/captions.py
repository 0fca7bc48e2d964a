"""`make bench-captions`: how soon after the end of speech its caption is there.

Rooms of real speech, one, four and eight at once, are written into journals in real time, as the
receiving process writes them. The captions process and its engine have one core together;
journals, PostgreSQL and whoever waits for captions have the others. The delay of a turn is from
its end in the reference to the notification that streams are served from.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from bench.cpu import cores, cpu_seconds, pin
from bench.encore import postgres
from bench.ending import stop
from bench.report import Cell, bench_lines, table
from core.db import Database
from core.listen import Listener
from core.postgres import free_port
from demo.script import load_script
from ingest.folders import Folders
from ingest.opus import RATE
from rooms.events import CAPTION, LIVE_CHANNEL
from tests.ingest.journals import Pcm
from tests.ingest.speech import read
from tests.transcripts.captioning import LiveRoom, live_room
from transcripts.accuracy import Said, Turn, compare
from transcripts.words import Span

SHARED: Final = Path(__file__).resolve().parent.parent.parent / "shared" / "speech" / "room_en"
"""A recorded room beside the repository; where there is none, the demo's is said."""

ROOMS: Final = (1, 4, 8)
SECONDS: Final = 60.0
LEAD_S: Final = 1.0
WAIT_S: Final = 12.0
"""For the last captions."""

READY_S: Final = 60.0
NEAR_MS: Final = 1000
"""A caption that ends so long before its turn does is not the turn's last."""


@dataclass(frozen=True)
class Spoken:
    """What is said: each speaker's sound, and every turn in it."""

    tracks: dict[str, Pcm]
    turns: list[Turn]

    @property
    def seconds(self) -> float:
        return max(track.size for track in self.tracks.values()) / RATE

    def part(self, start_s: float, seconds: float) -> "Spoken":
        """A stretch of it, with the turns that lie in it as a whole."""
        first, last = round(start_s * RATE), round((start_s + seconds) * RATE)
        start_ms, end_ms = start_s * 1000, (start_s + seconds) * 1000
        turns = [
            Turn(turn.speaker, _moved(turn.span, -round(start_ms)), turn.text)
            for turn in self.turns
            if turn.span.start_ms >= start_ms and turn.span.end_ms <= end_ms
        ]
        return Spoken({name: track[first:last] for name, track in self.tracks.items()}, turns)


def _moved(span: Span, ms: int) -> Span:
    return Span(span.start_ms + ms, span.end_ms + ms)


def spoken() -> Spoken:
    return _shared() if SHARED.is_dir() else _demo()


def _shared() -> Spoken:
    turns = [
        Turn(one["spk"], Span(round(one["start"] * 1000), round(one["end"] * 1000)), one["text"])
        for one in json.loads((SHARED / "ref.json").read_text())
    ]
    tracks = {path.name[0]: read(path) for path in sorted(SHARED.glob("*.flac"))}
    return Spoken(tracks, turns)


def _demo() -> Spoken:
    script = load_script()
    tracks = {s.name: np.zeros(round(script.end_s * RATE), np.float32) for s in script.speakers}
    turns = []
    for turn in script.turns:
        sound, first = read(turn.file), round(turn.start_s * RATE)
        tracks[turn.speaker][first : first + sound.size] = sound[
            : tracks[turn.speaker].size - first
        ]
        end_ms = round((turn.start_s + turn.duration_s) * 1000)
        turns.append(Turn(turn.speaker, Span(round(turn.start_s * 1000), end_ms), turn.text))
    return Spoken(tracks, turns)


@dataclass(frozen=True, slots=True)
class Caption:
    """`at_ms`: when it came, on the room's clock."""

    speaker: str
    span: Span
    text: str
    at_ms: float


@dataclass
class Stage:
    """One room, what is said in it, and which captions came."""

    room: LiveRoom
    said: Spoken
    began_s: float = 0.0
    captions: list[Caption] = field(default_factory=list)

    def hear(self, event: dict[str, Any], now_s: float) -> None:
        names = {str(who): name for name, who in self.room.speakers.items()}
        span = Span(event["start_ms"], event["end_ms"])
        at_ms = (now_s - self.began_s) * 1000
        self.captions.append(Caption(names[event["participant_id"]], span, event["text"], at_ms))

    def delay_s(self, turn: Turn) -> float | None:
        """Until the caption with the turn's last words came; None if none did."""
        last = [
            caption
            for caption in self.captions
            if caption.speaker == turn.speaker
            and caption.span.start_ms < turn.span.end_ms
            and caption.span.end_ms >= turn.span.end_ms - NEAR_MS
        ]
        if not last:
            return None
        return (min(caption.at_ms for caption in last) - turn.span.end_ms) / 1000

    def words(self) -> list[Said]:
        """Of captions that lie in turns that are said as a whole."""
        return [
            Said(caption.speaker, caption.span, caption.text)
            for caption in self.captions
            if any(_lies_in(caption, turn) for turn in self.said.turns)
        ]


def _lies_in(caption: Caption, turn: Turn) -> bool:
    middle_ms = (caption.span.start_ms + caption.span.end_ms) / 2
    within = turn.span.start_ms - 500 <= middle_ms <= turn.span.end_ms + 500
    return within and caption.speaker == turn.speaker


@dataclass(frozen=True, slots=True)
class Result:
    rooms: int
    turns: int
    delays: list[float]
    wer: float
    dropped: int
    core: float

    def percentile(self, share: int) -> float:
        return float(np.percentile(self.delays, share)) if self.delays else float("nan")


@asynccontextmanager
async def captioning(url: str, folder: Path, core: set[int]) -> AsyncIterator[tuple[int, int]]:
    """The process on its core: its pid, and the port of its metrics."""
    port = free_port()
    environment = {
        **os.environ,
        "ENCORE_DATABASE_URL": url,
        "ENCORE_DATA_DIR": str(folder),
        "ENCORE_CAPTIONS_METRICS_PORT": str(port),
        "ENCORE_LOG_LEVEL": "WARNING",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "web.cli", "process", "captions", "--unsupervised", env=environment
    )
    pin(process.pid, core)
    try:
        yield process.pid, port
    finally:
        await stop(process)


async def measured(url: str, speech: Spoken, rooms: int, seconds: float) -> Result:
    core, others = cores()
    pin(0, others)
    database = Database(url)
    with tempfile.TemporaryDirectory(prefix="encore-bench-captions-") as name:
        folder = Path(name)
        stages = [await _stage(database, folder, speech, n, rooms, seconds) for n in range(rooms)]
        async with captioning(url, folder, core) as (pid, port):
            paths = [stage.room.open_journal() for stage in stages]
            await _until_registered(database, stages)
            before = cpu_seconds(pid)
            async with _listening(database, stages):
                await _speak(stages, paths, seconds)
                await asyncio.sleep(WAIT_S)
            used = (cpu_seconds(pid) - before) / (seconds + WAIT_S)
            dropped = await _dropped(port)
    await database.close()
    return _result(stages, dropped, used)


async def _stage(
    database: Database, folder: Path, speech: Spoken, number: int, rooms: int, seconds: float
) -> Stage:
    """Rooms say different parts of it."""
    start_s = max(speech.seconds - seconds, 0) * number / max(rooms - 1, 1)
    said = speech.part(start_s, seconds)
    room = await live_room(database, Folders(folder), *said.tracks)
    for name, track in said.tracks.items():
        room.says(name, track, 0.0)
    return Stage(room, said)


async def _until_registered(database: Database, stages: Sequence[Stage]) -> None:
    """The engine is loaded by then."""
    async with asyncio.timeout(READY_S):
        for stage in stages:
            while not await stage.room.is_registered(database):  # noqa: ASYNC110
                await asyncio.sleep(0.1)


@asynccontextmanager
async def _listening(database: Database, stages: Sequence[Stage]) -> AsyncIterator[None]:
    by_room = {str(stage.room.room_id): stage for stage in stages}
    listener = Listener(database.url, (LIVE_CHANNEL,))
    listener.start()
    await listener.connected.wait()

    async def listen() -> None:
        async with listener.subscribe(LIVE_CHANNEL) as told:
            while True:
                event = await told.get()
                if event.get("kind") == CAPTION:
                    by_room[event["room_id"]].hear(event["data"], time.monotonic())

    listening = asyncio.create_task(listen())
    try:
        yield
    finally:
        listening.cancel()
        await listener.stop()


async def _speak(stages: Sequence[Stage], paths: Sequence[Path], seconds: float) -> None:
    """All drains of all rooms when they are due."""
    due = sorted(
        (room_us, number, batch)
        for number, stage in enumerate(stages)
        for room_us, batch in stage.room.timed_batches()
    )
    began_s = time.monotonic() + LEAD_S
    for stage in stages:
        stage.began_s = began_s
    files = [path.open("ab", buffering=0) for path in paths]
    for room_us, number, batch in due:
        if (wait := began_s + room_us / 1_000_000 - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        files[number].write(batch)
    for file in files:
        file.close()


async def _dropped(port: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
    text = (await reader.read()).decode().partition("\r\n\r\n")[2]
    writer.close()
    return round(
        sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "encore_captions_dropped_total"
        )
    )


def _result(stages: Sequence[Stage], dropped: int, used: float) -> Result:
    delays = [stage.delay_s(turn) for stage in stages for turn in stage.said.turns]
    compared = [compare(stage.said.turns, stage.words()) for stage in stages]
    errors = sum(one.errors for one in compared)
    return Result(
        rooms=len(stages),
        turns=len(delays),
        delays=[delay for delay in delays if delay is not None],
        wer=errors / max(sum(one.words for one in compared), 1),
        dropped=dropped,
        core=used,
    )


def report(results: Sequence[Result]) -> str:
    columns = [
        "rooms", "turns", "delay p50, s", "p95, s", "longest, s", "without a caption",
        "utterances dropped", "WER %", "of the core %",
    ]  # fmt: skip
    rows: list[list[Cell]] = [
        [
            str(r.rooms), r.turns, r.percentile(50), r.percentile(95), r.percentile(100),
            r.turns - len(r.delays), r.dropped, r.wer * 100, r.core * 100,
        ]
        for r in results
    ]  # fmt: skip
    numbers: dict[str, float] = {}
    for r in results:
        numbers[f"captions_p50_s_{r.rooms}_rooms"] = r.percentile(50)
        numbers[f"captions_p95_s_{r.rooms}_rooms"] = r.percentile(95)
        numbers[f"captions_dropped_{r.rooms}_rooms"] = r.dropped
    numbers["captions_wer_percent"] = statistics.median(r.wer for r in results) * 100
    return f"{table(columns, rows)}\n\n{bench_lines(numbers)}"


async def run(rooms: Sequence[int], seconds: float) -> None:
    speech = spoken()
    results = []
    for count in rooms:
        async with postgres() as (url, _):
            results.append(await measured(url, speech, count, seconds))
    print(report(results))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rooms", type=int, nargs="+", default=list(ROOMS))
    parser.add_argument("--seconds", type=float, default=SECONDS)
    given = parser.parse_args()
    asyncio.run(run(given.rooms, given.seconds))


if __name__ == "__main__":
    main()
