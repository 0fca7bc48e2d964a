"""The whole way from a room's tracks to its transcript, with the real engine."""

from collections.abc import AsyncIterator, Iterable
from itertools import pairwise
from typing import Final

import numpy as np
import pytest

from core.settings import Settings
from demo.script import Turn as ScriptTurn
from demo.script import load_script
from tests.transcripts.sounds import SHARED, hum, noise, silence, spoken
from tests.transcripts.test_pipeline import MemoryTrack
from transcripts.accuracy import Said, Turn, compare, wer
from transcripts.cues import pieces
from transcripts.engine_process import EngineProcess
from transcripts.merge import merged
from transcripts.pipeline import TrackTranscript, transcribe_track
from transcripts.transcriber import RATE, Pcm
from transcripts.webvtt import render
from transcripts.words import Span

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("whisper")]

UNTIL_S: Final = 25.4
"""Of the demo's room: three speakers, two languages, an overlap."""


@pytest.fixture(scope="module")
async def engine() -> AsyncIterator[EngineProcess]:
    async with EngineProcess(Settings(_env_file=None)) as engine:
        yield engine


def said_in_the_room() -> list[ScriptTurn]:
    return [turn for turn in load_script().turns if turn.start_s + turn.duration_s < UNTIL_S]


def track_of(turns: Iterable[ScriptTurn]) -> Pcm:
    """As a microphone hears it: there is never nothing."""
    track = noise(UNTIL_S + 1, -70)
    for turn in turns:
        pcm, at = spoken(turn.file), round(turn.start_s * RATE)
        track[at : at + pcm.size] += pcm
    return track


async def test_the_demo_room(engine: EngineProcess) -> None:
    script = said_in_the_room()
    found: dict[str, TrackTranscript] = {}
    for name in {turn.speaker for turn in script}:
        track = track_of(turn for turn in script if turn.speaker == name)
        found[name] = await transcribe_track(MemoryTrack(track), engine)
    assert {name: one.language for name, one in found.items()} == {
        "Ada": "en",
        "Ben": "en",
        "Chiara": "it",
    }
    turns = [
        Turn(
            t.speaker,
            Span(round(t.start_s * 1000), round((t.start_s + t.duration_s) * 1000)),
            t.text,
        )
        for t in script
    ]
    said = [
        Said(name, Span(word.start_ms, word.end_ms), word.text)
        for name, one in found.items()
        for word in one.words
    ]
    accuracy = compare(turns, said)
    assert accuracy.wer <= 0.12
    assert accuracy.right_speaker >= 0.98
    assert accuracy.lost == ()
    assert all(one.missing == () for one in found.values())
    cues = merged({name: pieces(one.words) for name, one in found.items()})
    assert {cue.speaker for cue in cues} == set(found)
    assert any(one.end_ms > other.start_ms for one, other in pairwise(cues))
    assert render(cues).count("<v ") == len(cues)


async def test_a_quiet_voice_behind_rumble_and_hum_is_heard(engine: EngineProcess) -> None:
    turn = said_in_the_room()[0]
    at = np.arange(round(9 * RATE)) / RATE
    rumble = (0.3 * np.sin(2 * np.pi * 17 * at)).astype(np.float32)
    track = rumble + 0.02 * hum(9) + noise(9, -65)
    pcm = 0.1 * spoken(turn.file)
    track[RATE : RATE + pcm.size] += pcm
    found = await transcribe_track(MemoryTrack(track), engine)
    assert wer(turn.text, " ".join(word.text for word in found.words)) <= 0.2


@pytest.mark.skipif(not SHARED.is_dir(), reason="no recordings of people here")
@pytest.mark.parametrize("language", ["en", "it", "fr"])
async def test_people_reading(engine: EngineProcess, language: str) -> None:
    files = sorted((SHARED / "utt").glob(f"{language}_*.flac"))[:2]
    parts = [part for file in files for part in (silence(0.7), spoken(file))]
    text = " ".join(file.with_suffix(".txt").read_text() for file in files)
    found = await transcribe_track(MemoryTrack(*parts), engine)
    assert found.language == language
    assert wer(text, " ".join(word.text for word in found.words)) <= 0.35
