"""One way to transcribe a room, in a process of its own: `python -m bench.transcribe_case ...`.

Reads FOLDER/*.pcm, prints [speaker or null, start_ms, end_ms, text] as JSON, one a line.
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.spoken_room import MIX
from core.settings import Settings
from transcripts.engine_process import EngineProcess
from transcripts.installed_models import locate
from transcripts.pipeline import transcribe_track
from transcripts.tracks import RoomTrack
from transcripts.transcriber import Pcm

Said = tuple[str | None, int, int, str]


def settings() -> Settings:
    """One thread on the CPU, as the peers have."""
    return Settings(transcribe_device="cpu", transcribe_compute_type="int8", transcribe_threads=1)


def tracks(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.pcm") if path.stem != MIX)


async def ours(folder: Path) -> list[Said]:
    said: list[Said] = []
    async with EngineProcess(settings()) as engine:
        for path in tracks(folder):
            with path.open("rb") as file:
                track = RoomTrack(file, path.stat().st_size // 2)
                found = await transcribe_track(track, engine)
            said += [(path.stem, w.start_ms, w.end_ms, w.text) for w in found.words]
    return said


async def mix(folder: Path) -> list[Said]:
    """Plain faster-whisper with one beam, and else what it does unasked."""
    segments, _ = _plain().transcribe(_read(folder / f"{MIX}.pcm"), beam_size=1)
    return [(None, _ms(s.start), _ms(s.end), s.text) for s in segments]


async def whole_tracks(folder: Path) -> list[Said]:
    """The same for each track, silence and all, with times of words to merge them by."""
    model = _plain()
    return [said for path in tracks(folder) for said in _track(model, path)]


def _track(model: Any, path: Path) -> Iterator[Said]:
    segments, _ = model.transcribe(_read(path), beam_size=1, word_timestamps=True)
    for segment in segments:
        for word in segment.words or ():
            yield path.stem, _ms(word.start), _ms(word.end), word.word


def _plain() -> Any:
    from faster_whisper import WhisperModel  # ours must not pay for loading it twice

    given = settings()
    folder = locate(given.transcribe_model, given.models_folder).folder
    return WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)


def _read(path: Path) -> Pcm:
    return np.fromfile(path, "<i2").astype(np.float32) / np.float32(32768)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


CASES = {"ours": ours, "mix": mix, "tracks": whole_tracks}


if __name__ == "__main__":
    for line in asyncio.run(CASES[sys.argv[1]](Path(sys.argv[2]))):
        print(json.dumps(line))
