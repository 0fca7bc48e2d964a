"""A speaker's sound lies where it was said, whatever was cut out of the recording."""

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from core.storage.folder import FolderStore
from demo.opus_files import RATE as FULL_RATE
from demo.opus_files import encode, tone
from replay.holdings import HeldRendition, load_holding
from replay.stems import Stem
from tests.transcripts.recordings import Recorded, add_voice, recorded_room
from transcripts.tracks import SoundMissing, room_track
from transcripts.transcriber import RATE, Pcm

LOOKAHEAD_MS = 6.5
"""Packets written one after another lag by the codec's look-ahead; a packager takes it back."""


async def track_of(session: AsyncSession, made: Recorded, name: str) -> HeldRendition:
    holding = await load_holding(session, made.id)
    who = made.participants[name].id
    return next(r for r in holding.renditions if r.row.participant_id == who)


async def at_full_rate(store: FolderStore, track: HeldRendition) -> Pcm:
    stem = Stem("opus")
    parts = []
    for segment in track.segments:
        data = await store.get(segment.object_key)
        parts += list(stem.segment(data, discontinuity=False))
    return np.concatenate(parts)


def loud_ms(sound: Pcm) -> list[tuple[float, float]]:
    """Where it is louder than a faint tone, in stretches, milliseconds."""
    blocks = sound[: sound.size // 16 * 16].reshape(-1, 16)
    loud = np.abs(blocks).max(axis=1) > 0.05
    edges = np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(np.int8), [0]])))
    starts, ends = edges[::2], edges[1::2]
    joined: list[tuple[float, float]] = []
    for start, end in zip(starts, ends, strict=True):
        if joined and start - joined[-1][1] < 20:
            joined[-1] = (joined[-1][0], float(end))
        else:
            joined.append((float(start), float(end)))
    return joined


async def test_sound_lies_on_the_rooms_clock(session: AsyncSession, tmp_path: Path) -> None:
    """Before a pause, after it and in a later object of the track."""
    store = FolderStore(tmp_path / "objects")
    made = await recorded_room(session, duration_ms=50_000, pauses=[(4000, 9000)])
    beep = encode(tone(0.5))
    await add_voice(session, store, made, "Ada", {1000: beep, 9500: beep, 45_000: beep})
    async with room_track(store, await track_of(session, made, "Ada"), tmp_path / "s") as track:
        assert track.samples == 50 * RATE
        heard = loud_ms(await track.read(0, track.samples))
    expected = [(at, at + 500) for at in (1000, 9500, 45_000)]
    assert len(heard) == len(expected)
    for (start, end), (begin, finish) in zip(heard, expected, strict=True):
        assert start == pytest.approx(begin + LOOKAHEAD_MS, abs=3)
        assert end == pytest.approx(finish + LOOKAHEAD_MS, abs=12)


async def test_resampling_moves_nothing_and_folds_nothing(
    session: AsyncSession, tmp_path: Path
) -> None:
    """Every third sample of a low tone comes out; what 16 kHz cannot hold does not."""
    store = FolderStore(tmp_path / "objects")
    made = await recorded_room(session, duration_ms=3000)
    await add_voice(session, store, made, "Ada", {0: encode(tone(3), bit_rate=128_000)})
    high = encode(tone(3, frequency_hz=12_000), bit_rate=128_000)
    await add_voice(session, store, made, "Ben", {0: high})
    async with room_track(store, await track_of(session, made, "Ada"), tmp_path) as track:
        sound = await track.read(RATE, 2 * RATE)
    decoded = await at_full_rate(store, await track_of(session, made, "Ada"))
    assert np.abs(sound - decoded[FULL_RATE : 2 * FULL_RATE : 3]).max() < 0.002
    async with room_track(store, await track_of(session, made, "Ben"), tmp_path) as track:
        folded = await track.read(RATE, 2 * RATE)
    assert float(np.abs(folded).max()) < 0.003


async def test_reading_past_both_ends_of_what_was_recorded_gives_silence(
    session: AsyncSession, tmp_path: Path
) -> None:
    store = FolderStore(tmp_path / "objects")
    made = await recorded_room(session, duration_ms=1000)
    await add_voice(session, store, made, "Ada", {0: encode(tone(1))})
    async with room_track(store, await track_of(session, made, "Ada"), tmp_path) as track:
        past = await track.read(RATE - 100, RATE + 100)
    assert past.size == 200
    assert not past[100:].any()


async def test_nothing_is_left_of_the_file(session: AsyncSession, tmp_path: Path) -> None:
    """Not even while it is read: a killed process leaves none."""
    store = FolderStore(tmp_path / "objects")
    made = await recorded_room(session, duration_ms=1000)
    await add_voice(session, store, made, "Ada", {0: encode(tone(1))})
    scratch = tmp_path / "scratch"
    async with room_track(store, await track_of(session, made, "Ada"), scratch):
        assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("harm", ["gone", "cut"])
async def test_missing_sound_is_no_silence(
    session: AsyncSession, tmp_path: Path, harm: str
) -> None:
    store = FolderStore(tmp_path / "objects")
    made = await recorded_room(session, duration_ms=1000)
    await add_voice(session, store, made, "Ada", {0: encode(tone(1))})
    track = await track_of(session, made, "Ada")
    path = tmp_path / "objects" / track.segments[0].object_key
    path.unlink() if harm == "gone" else path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SoundMissing):
        async with room_track(store, track, tmp_path):
            pass
