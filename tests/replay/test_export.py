"""Stems begin together, are equally long to the sample, and hold what was said where it was."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import av
import numpy as np
import pytest
import sqlalchemy as sa

from core.db import Database
from ingest.models import Recording, RecordingStatus
from replay.export import (
    INDEX,
    FilesInTheWay,
    FolderUnusable,
    NotStored,
    StemDamaged,
    export,
    file_names,
)
from replay.formats import Format
from replay.holdings import HeldRendition
from tests.ingest.journals import JournalMaker, Pcm, Voice, clicks
from tests.replay.afterwards import (
    Script,
    never_on_the_record,
    nobody_speaks,
    store_room,
    two_with_a_pause,
)

RATE = 48_000
CLICKS = (1.0, 2.5, 6.0, 8.5)


def clicking(maker: JournalMaker, speakers: list[str]) -> None:
    """Ten seconds with a pause from 4 to 5: both hear the same clicks, Bob from 2 on."""
    maker.record(0, on=True)
    maker.speak(Voice(speakers[0], clicks(10, CLICKS), delay=0.0))
    maker.record(4, on=False)
    maker.record(5, on=True)
    heard = [at - 2 for at in CLICKS if at > 2]
    maker.speak(Voice(speakers[1], clicks(8, heard), start=2, seed=2, delay=0.0))
    maker.end(10)


def sound_of(path: Path) -> Pcm:
    parts = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            part = frame.to_ndarray().reshape(-1)
            whole = np.issubdtype(part.dtype, np.integer)
            parts.append(part.astype(np.float32) / (32768 if whole else 1))
    return np.concatenate(parts)


def onsets(sound: Pcm) -> list[float]:
    """Seconds at which something loud begins."""
    loud = np.flatnonzero(np.abs(sound) > 0.2)
    starts = loud[np.diff(loud, prepend=-RATE) > RATE // 10]
    return [float(at) / RATE for at in starts]


@pytest.mark.parametrize("format_", list(Format))
async def test_stems_are_aligned_to_the_sample(
    database: Database, tmp_path: Path, format_: Format
) -> None:
    over = await store_room(database, tmp_path, clicking, names=("Ada", "Bob"))
    paths = await export(over.store, await over.holding(), tmp_path / "out", format_)
    suffix = format_.value
    assert [path.name for path in paths] == [
        f"mix.{suffix}",
        f"Ada.{suffix}",
        f"Bob.{suffix}",
        INDEX,
    ]
    length = (await over.holding()).recording.media_samples
    mix, ada, bob = (sound_of(path) for path in paths[:3])
    assert {mix.size, ada.size, bob.size} == {length}
    media = [at if at < 4 else at - 1 for at in CLICKS]
    assert onsets(ada) == pytest.approx(media, abs=0.015), "a drain of 10 ms is in the arrivals"
    assert onsets(mix) == pytest.approx(onsets(ada), abs=0.002)
    assert onsets(bob) == pytest.approx(onsets(ada)[1:], abs=0.002)
    assert not bob[: int(1.9 * RATE)].any() or format_ is Format.OPUS
    assert not list((tmp_path / "out").glob(".*"))


async def test_before_and_after_compaction_they_are_the_same(
    database: Database, tmp_path: Path
) -> None:
    over = await store_room(database, tmp_path, two_with_a_pause)
    before = await export(over.store, await over.holding(), tmp_path / "a", Format.WAV)
    await over.compact()
    await over.sweep()
    after = await export(over.store, await over.holding(), tmp_path / "b", Format.WAV)
    assert [p.read_bytes() for p in before] == [p.read_bytes() for p in after]


async def test_the_index_tells_what_the_files_are(database: Database, tmp_path: Path) -> None:
    over = await store_room(database, tmp_path, two_with_a_pause, names=("Ada/\\", "ada"))
    told: list[tuple[str, int]] = []
    *files, index = await export(
        over.store,
        await over.holding(),
        tmp_path / "out",
        Format.FLAC,
        lambda name, samples: told.append((name, samples)),
    )
    body = json.loads(index.read_text())
    assert body["recording_id"] == str(over.recording_id)
    assert [stem["file"] for stem in body["stems"]] == [f.name for f in files]
    assert [f.name for f in files] == ["mix.flac", "Ada.flac", "ada (2).flac"]
    assert [stem["display_name"] for stem in body["stems"]] == [None, "Ada/\\", "ada"]
    assert body["stems"][2]["first_sound_ms"] == pytest.approx(2000, abs=60)
    assert [span["room_start_ms"] for span in body["room_and_media"]] == [0, 6000]
    assert [gap["cause"] for gap in body["gaps"]] == ["off_the_record"]
    for file in files:
        assert sum(n for name, n in told if name == file.name) == body["samples"]


@pytest.mark.parametrize(("script", "files"), [(nobody_speaks, 1), (never_on_the_record, 0)])
async def test_rooms_in_which_little_happened(
    database: Database, tmp_path: Path, script: Script, files: int
) -> None:
    over = await store_room(database, tmp_path, script)
    paths = await export(over.store, await over.holding(), tmp_path / "out", Format.FLAC)
    assert len(paths) == files + 1
    if files:
        assert sound_of(paths[0]).size == 5 * RATE


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_what_is_damaged_is_not_exported_half(database: Database, tmp_path: Path) -> None:
    over = await store_room(database, tmp_path, two_with_a_pause)
    key = (await over.holding()).renditions[1].segments[0].object_key
    kept = await over.store.get(key)
    await over.store.delete(key)
    before, out = names_in(tmp_path), tmp_path / "new" / "out"
    with pytest.raises(StemDamaged, match=r"track-.* segment 0"):
        await export(over.store, await over.holding(), out, Format.WAV)
    assert names_in(tmp_path) == before, "what was made is gone again"

    mine = tmp_path / "mine"
    await asyncio.to_thread(mine.mkdir)
    (mine / "other.txt").touch()
    with pytest.raises(StemDamaged):
        await export(over.store, await over.holding(), mine, Format.WAV)
    assert names_in(mine) == ["other.txt"]
    await over.store.put(key, kept, content_type="audio/mp4")
    await export(over.store, await over.holding(), mine, Format.WAV)
    assert names_in(mine) == ["Ada.wav", "Bob.wav", "mix.wav", "other.txt", INDEX]
    with pytest.raises(FilesInTheWay):
        await export(over.store, await over.holding(), mine, Format.WAV)


async def test_a_place_that_cannot_be_written_is_told(database: Database, tmp_path: Path) -> None:
    over = await store_room(database, tmp_path, nobody_speaks)
    file = tmp_path / "file"
    file.touch()
    for out in (file, file / "out"):
        with pytest.raises(FolderUnusable, match="--out"):
            await export(over.store, await over.holding(), out, Format.FLAC)
    assert file.read_bytes() == b""


async def test_a_live_recording_is_not_exported(database: Database, tmp_path: Path) -> None:
    over = await store_room(database, tmp_path, nobody_speaks)
    async with database.transaction() as session:
        row = sa.update(Recording).where(Recording.id == over.recording_id)
        await session.execute(row.values(status=RecordingStatus.LIVE))
    with pytest.raises(NotStored):
        await export(over.store, await over.holding(), tmp_path / "out", Format.FLAC)


def named(*names: str | None) -> list[str]:
    renditions: list[Any] = [SimpleNamespace(name="mix", speaker=None)]
    renditions += [SimpleNamespace(name=f"track-{n}", speaker=n) for n in names]
    return file_names(cast(list[HeldRendition], renditions), Format.FLAC)[1:]


def test_names_of_files_are_safe_and_apart() -> None:
    assert named("Ada", "ADA", "mix") == ["Ada.flac", "ADA (2).flac", "mix (2).flac"]
    assert named("../../etc/passwd") == ["etc passwd.flac"]
    assert named("a\x00b\n\x1b[31mc") == ["a b 31mc.flac"]
    assert named("", "...", "CON", None) == [
        "speaker.flac",
        "speaker (2).flac",
        "speaker CON.flac",
        "speaker (3).flac",
    ]
    assert named("Zoë 李") == ["Zoë 李.flac"]
    assert all(len(name) <= 90 for name in named("x" * 500, "x" * 500))
