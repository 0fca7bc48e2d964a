"""A room of real speech with its reference text, as files that every transcriber reads.

../shared/speech/room_en beside the repository where that is present: four people's recordings,
with silences and overlaps. Else the demo's script and voices.
"""

import json
import random
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import numpy as np

from demo.script import Script, load_script
from ingest.folders import Folders
from ingest.opus import RATE as FULL_RATE
from ingest.packager import Packager
from replay.stems import Stem
from tests.ingest.journals import JournalMaker, Voice, participant
from tests.ingest.listening import file_of
from transcripts.accuracy import Turn
from transcripts.transcriber import RATE, Pcm
from transcripts.words import Span

ROOT: Final = Path(__file__).parents[1]
SHARED: Final = ROOT.parent / "shared" / "speech" / "room_en"
MIX: Final = "mix"
_DELAY_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class SpokenRoom:
    """`tracks` are mono at 48 kHz and begin at go-live."""

    name: str
    tracks: dict[str, Pcm]
    turns: tuple[Turn, ...]

    @property
    def seconds(self) -> float:
        return max(track.size for track in self.tracks.values()) / FULL_RATE

    def first(self, seconds: float) -> "SpokenRoom":
        """Its beginning, with the turns that end in it; of those that don't, nothing is said."""
        end = round(seconds * FULL_RATE)
        tracks = {name: track[:end].copy() for name, track in self.tracks.items()}
        for turn in self.turns:
            if turn.span.end_ms > seconds * 1000:
                tracks[turn.speaker][turn.span.start_ms * FULL_RATE // 1000 :] = 0
        turns = tuple(turn for turn in self.turns if turn.span.end_ms <= seconds * 1000)
        return SpokenRoom(f"{self.name}, its first {seconds:.0f} s", tracks, turns)


def spoken_room() -> SpokenRoom:
    return _shared() if SHARED.is_dir() else _demo(load_script())


def _shared() -> SpokenRoom:
    tracks = {path.name[0]: sound(path, FULL_RATE) for path in sorted(SHARED.glob("*.flac"))}
    said = json.loads((SHARED / "ref.json").read_text())
    turns = (_turn(one["spk"], one["start"], one["end"], one["text"]) for one in said)
    return SpokenRoom("room_en", tracks, tuple(turns))


def _turn(speaker: str, start_s: float, end_s: float, text: str) -> Turn:
    return Turn(speaker, Span(round(start_s * 1000), round(end_s * 1000)), text)


def _demo(script: Script) -> SpokenRoom:
    length = round(script.end_s * FULL_RATE) + FULL_RATE
    tracks = {speaker.name: np.zeros(length, np.float32) for speaker in script.speakers}
    said = [turn for turn in script.turns if not turn.off_the_record]
    for turn in said:
        pcm, at = sound(turn.file, FULL_RATE), round(turn.start_s * FULL_RATE)
        tracks[turn.speaker][at : at + pcm.size] = pcm
    turns = (_turn(t.speaker, t.start_s, t.start_s + t.duration_s, t.text) for t in said)
    return SpokenRoom("the demo's room", tracks, tuple(turns))


def sound(path: Path, rate: int) -> Pcm:
    """A file's sound, mono."""
    with av.open(str(path)) as container:
        return _resampled(container.decode(audio=0), rate)


def _resampled(frames: Iterable[av.AudioFrame], rate: int) -> Pcm:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
    parts = [part for frame in [*frames, None] for part in resampler.resample(frame)]
    return np.concatenate([part.to_ndarray().reshape(-1) for part in parts])


def through_packets(room: SpokenRoom, lost: float) -> SpokenRoom:
    """As it is recorded when that share of the packets is lost on the way, and none sent again.

    Opus of 20 ms goes through a journal and the packager, as if it had just arrived: everything
    behind the socket is the real thing, and no hour is waited for. Losses are independent.
    """
    maker = JournalMaker()
    maker.record(0, on=True)
    for number, track in enumerate(room.tracks.values()):
        draw = random.Random(number)  # noqa: S311 - the same losses in every run
        gone = [draw.random() < lost for _ in range(track.size // 960 + 1)]
        maker.speak(Voice(participant(number), track, delay=_DELAY_S, drop=gone.__getitem__))
    maker.end(room.seconds + 1)
    with tempfile.TemporaryDirectory() as folder:
        folders = Folders(Path(folder))
        maker.write(folders)
        packager = Packager(folders, maker.recording_id, mixing=False)
        while packager.step(0):
            pass
        packager.close()
        heard = [
            _decoded(file_of(folders, maker.recording_id, f"track-{participant(number)}"))
            for number in range(len(room.tracks))
        ]
    return SpokenRoom(room.name, dict(zip(room.tracks, heard, strict=True)), room.turns)


def _decoded(track: bytes) -> Pcm:
    """As the pipeline hears it: short losses are concealed."""
    return np.concatenate(list(Stem("opus").segment(track, discontinuity=False)))


def write(room: SpokenRoom, folder: Path) -> None:
    """Each track and their sum at the engine's rate, 16 bits: NAME.pcm and mix.pcm."""
    tracks = {name: _slower(track) for name, track in room.tracks.items()}
    for name, track in tracks.items():
        save(track, folder / f"{name}.pcm")
    save(_sum(list(tracks.values())), folder / f"{MIX}.pcm")


def _slower(track: Pcm) -> Pcm:
    row = np.ascontiguousarray(track).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(row, format="flt", layout="mono")
    frame.sample_rate = FULL_RATE
    return _resampled([frame], RATE)


def _sum(tracks: Sequence[Pcm]) -> Pcm:
    mix = np.zeros(max(track.size for track in tracks), np.float32)
    for track in tracks:
        mix[: track.size] += track
    return mix


def save(pcm: Pcm, path: Path) -> None:
    """16 bits, without a header."""
    path.write_bytes((pcm.clip(-1, 1) * 32767).astype("<i2").tobytes())
