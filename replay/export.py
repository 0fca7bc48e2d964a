"""Aligned stems: every track and the mix as files that begin together and are equally long."""

import asyncio
import contextlib
import json
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
import numpy.typing as npt

from core.errors import Conflict, Problem
from core.storage import ObjectStore
from ingest.decoder import Pcm
from ingest.models import RecordingStatus
from ingest.opus import RATE
from replay.formats import Format
from replay.fragments import BrokenFragment
from replay.holdings import HeldRendition, HeldSegment, Holding, Piece, is_whole, read_pieces
from replay.recorded import MIX
from replay.roomtime import RoomTime, Stretch
from replay.stems import Stem

INDEX: Final = "recording.json"
LONGEST_NAME: Final = 80
_UNSAFE = re.compile(r"[^\w .,()+@'-]", re.UNICODE)
_RESERVED: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


class NotStored(Conflict):
    code = "recording_not_stored"
    title = "The recording is not stored yet"


class StemDamaged(Problem):
    code = "stem_damaged"
    title = "A segment of the recording is missing or damaged; `encore recording verify` names all"


class FilesInTheWay(Conflict):
    code = "files_in_the_way"
    title = "The folder holds an export already"


class FolderUnusable(Problem):
    code = "folder_unusable"
    title = "The files cannot be written there"


@dataclass(frozen=True, slots=True)
class _Encoding:
    container: str
    codec: str
    sample_format: str
    options: dict[str, str]


_ENCODINGS: Final = {
    Format.FLAC: _Encoding("flac", "flac", "s16", {}),
    Format.WAV: _Encoding("wav", "pcm_s16le", "s16", {"rf64": "auto"}),
    Format.OPUS: _Encoding("ogg", "libopus", "flt", {}),
}
_OPUS_BPS: Final = 96_000

Progress = Callable[[str, int], None]
"""The file that is written, and how many samples it has got since the last call."""


class StemFile:
    """Takes samples and encodes them into a file as they come. Blocking."""

    def __init__(self, path: Path, format_: Format) -> None:
        encoding = _ENCODINGS[format_]
        self._container = av.open(
            str(path), "w", format=encoding.container, options=encoding.options
        )
        stream = self._container.add_stream(encoding.codec, rate=RATE, layout="mono")
        assert isinstance(stream, av.AudioStream)  # noqa: S101 - an audio codec was asked for
        stream.format = encoding.sample_format
        stream.time_base = Fraction(1, RATE)
        if format_ is Format.OPUS:
            stream.bit_rate = _OPUS_BPS
        self._stream = stream
        self._is_float = encoding.sample_format == "flt"
        self.samples = 0

    def write(self, pcm: Pcm) -> None:
        row = np.ascontiguousarray(pcm).reshape(1, -1)
        if self._is_float:
            frame = av.AudioFrame.from_ndarray(row, format="flt", layout="mono")
        else:
            frame = av.AudioFrame.from_ndarray(_to_16_bit(row), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self.samples, Fraction(1, RATE)
        self.samples += pcm.size
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()


def _to_16_bit(pcm: Pcm) -> npt.NDArray[np.int16]:
    scaled = np.clip(np.round(pcm * 32768), -32768, 32767)
    return scaled.astype(np.int16)


async def export(
    store: ObjectStore,
    holding: Holding,
    folder: Path,
    format_: Format,
    progress: Progress = lambda name, samples: None,
) -> list[Path]:
    """Writes a file per rendition and the index; the paths, the index last. All or nothing.

    Raises NotStored, StemDamaged, FilesInTheWay, FolderUnusable, StoreUnavailable.
    """
    if holding.recording.status is not RecordingStatus.STORED:
        raise NotStored("The recording is not stored yet: export it after the room's end.")
    names = file_names(holding.renditions, format_)
    with _drafts(folder, [*names, INDEX]) as drafts:
        for rendition, name in zip(holding.renditions, names, strict=True):
            await _write_stem(store, holding, rendition, drafts / name, format_, progress)
        text = json.dumps(index_of(holding, names), indent=2, ensure_ascii=False) + "\n"
        await asyncio.to_thread((drafts / INDEX).write_text, text, "utf-8")
    return [folder / name for name in [*names, INDEX]]


@contextlib.contextmanager
def _drafts(folder: Path, names: list[str]) -> Iterator[Path]:
    """A hidden folder inside, whose files are moved out once all are whole; what fails leaves
    nothing, and what is killed nothing that a second try would trip over."""
    try:
        if any((folder / name).exists() for name in names):
            text = f"{folder} holds files of an export already; name another with --out."
            raise FilesInTheWay(text)
        with _made(folder):
            drafts = Path(tempfile.mkdtemp(prefix=".export-", dir=folder))
            try:
                yield drafts
                for name in names:
                    (drafts / name).rename(folder / name)
            finally:
                shutil.rmtree(drafts, ignore_errors=True)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        text = f"Cannot write to {folder} ({reason}); name another folder with --out."
        raise FolderUnusable(text) from error


@contextlib.contextmanager
def _made(folder: Path) -> Iterator[None]:
    """The folder and those above it; on failure those that are new go again."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for path in new:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


async def _write_stem(
    store: ObjectStore,
    holding: Holding,
    rendition: HeldRendition,
    path: Path,
    format_: Format,
    progress: Progress,
) -> None:
    file = await asyncio.to_thread(StemFile, path, format_)
    stem = Stem(rendition.row.codec)
    length = holding.recording.media_samples or 0

    def write(parts: Iterable[Pcm]) -> None:
        for pcm in parts:
            rest = length - file.samples
            if rest > 0:
                file.write(pcm[:rest])
                progress(path.name, min(pcm.size, rest))

    pieces = (_piece(rendition.name, s) for s in rendition.segments)
    segments = iter(rendition.segments)
    async for piece, data in read_pieces(store, pieces):
        segment = next(segments)
        if data is None or not is_whole(piece, data):
            raise StemDamaged(f"{piece.label} is missing or damaged.")
        parts = stem.segment(data, discontinuity=segment.discontinuity)
        try:
            await asyncio.to_thread(write, parts)
        except BrokenFragment as broken:
            raise StemDamaged(f"{piece.label} cannot be read: {broken}") from None
    await asyncio.to_thread(write, stem.finish(length))
    await asyncio.to_thread(file.close)


def _piece(name: str, s: HeldSegment) -> Piece:
    return Piece(f"{name} segment {s.sequence}", s.object_key, s.byte_start, s.bytes, s.sha256)


def file_names(renditions: Iterable[HeldRendition], format_: Format) -> list[str]:
    """From the speakers' names, safe on any file system and all different, case aside."""
    taken: set[str] = set()
    return [f"{_unique(_wish(r), taken)}.{format_.value}" for r in renditions]


def _wish(rendition: HeldRendition) -> str:
    if rendition.name == MIX:
        return MIX
    name = unicodedata.normalize("NFC", rendition.speaker or "")
    name = " ".join(_UNSAFE.sub(" ", name).split())[:LONGEST_NAME].strip(" .-")
    if not name or _RESERVED.fullmatch(name):
        return f"speaker {name}".strip()
    return name


def _unique(wish: str, taken: set[str]) -> str:
    name, number = wish, 1
    while name.casefold() in taken:
        number += 1
        name = f"{wish} ({number})"
    taken.add(name.casefold())
    return name


def index_of(holding: Holding, names: list[str]) -> dict[str, Any]:
    """What people and tools need to know of the files beside it; times in milliseconds."""
    recording = holding.recording
    mix = next((r for r in holding.renditions if r.name == MIX), None)
    segments = mix.segments if mix is not None else []
    stretches = (Stretch(s.media_start, s.samples, s.room_start_ms) for s in segments)
    return {
        "recording_id": str(recording.id),
        "room_id": str(recording.room_id),
        "title": holding.title,
        "live_at": recording.live_at.isoformat(),
        "sample_rate": RATE,
        "samples": recording.media_samples or 0,
        "stems": [_stem(r, name) for r, name in zip(holding.renditions, names, strict=True)],
        "room_and_media": [
            {
                "room_start_ms": span.room_start_ms,
                "media_start_ms": span.media_start_ms,
                "duration_ms": span.duration_ms,
            }
            for span in RoomTime(stretches).spans
        ],
        "gaps": [
            {
                "participant_id": str(gap.participant_id) if gap.participant_id else None,
                "cause": gap.cause.value,
                "room_start_ms": gap.room_start_ms,
                "room_end_ms": gap.room_end_ms,
            }
            for gap in holding.gaps
        ],
    }


def _stem(rendition: HeldRendition, name: str) -> dict[str, Any]:
    row, segments = rendition.row, rendition.segments
    first, last = (segments[0], segments[-1]) if segments else (None, None)
    return {
        "file": name,
        "participant_id": str(row.participant_id) if row.participant_id else None,
        "display_name": rendition.speaker,
        "first_sound_ms": first.media_start / 48 if first else None,
        "last_sound_ms": last.media_end / 48 if last else None,
    }
