"""One speaker's sound on its way to utterances."""

from itertools import pairwise
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ingest.journals import Pcm, quiet
from tests.ingest.speech import SPEECH, read
from transcripts.utterances import LONGEST_MS, PAD_MS, Decimator, Ear, Tape, Utterance

PACKET = 960
WHO = UUID(int=7)


def listen(signal: Pcm, *, begin: int = 0, packet: int = PACKET) -> list[Utterance]:
    ear = Ear(WHO)
    heard: list[Utterance] = []
    for at in range(0, signal.size, packet):
        ear.hear(begin + at, signal[at : at + packet])
        heard += ear.utterances()
    ear.time(begin + signal.size + 96_000)
    return heard + ear.utterances()


def hello() -> Pcm:
    return read(SPEECH / "01-ada.opus")


def test_sound_is_thinned_without_what_lies_above_8_khz() -> None:
    at = np.arange(48_000) / 48_000
    low, high = (np.sin(2 * np.pi * hz * at).astype(np.float32) for hz in (1000, 11_000))
    thin = Decimator().feed(low + high)
    assert thin.size == 16_000
    wanted = np.sin(2 * np.pi * 1000 * (np.arange(16_000) / 16_000 - 31 / 48_000))
    assert np.abs(thin[200:] - wanted[200:]).max() < 0.01


@settings(max_examples=25)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=20))
def test_it_does_not_matter_in_which_pieces_sound_comes(sizes: list[int]) -> None:
    signal = np.random.default_rng(1).standard_normal(sum(sizes)).astype(np.float32)
    pieces, at = Decimator(), 0
    parts = []
    for size in sizes:
        parts.append(pieces.feed(signal[at : at + size]))
        at += size
    assert np.allclose(np.concatenate(parts), Decimator().feed(signal), atol=1e-5)


def test_a_tape_keeps_what_was_not_dropped() -> None:
    tape = Tape()
    assert tape.cut(0, 5).size == 0
    for start in range(0, 40, 10):
        tape.append(np.arange(start, start + 10, dtype=np.float32))
    tape.drop_before(15)
    assert tape.cut(12, 25).tolist() == list(range(12, 25))
    assert tape.cut(0, 12).tolist() == [10, 11]
    assert tape.cut(38, 99).tolist() == [38, 39]


def test_what_is_said_is_cut_at_pauses_at_its_own_place() -> None:
    begin, once = 48 * 5000, hello().size / 48
    twice = np.concatenate((hello(), quiet(0.8), hello()))
    heard = listen(twice, begin=begin)
    assert len(heard) >= 2
    assert heard[0].start_ms == pytest.approx(5100, abs=150)
    assert heard[-1].end_ms == pytest.approx(5800 + 2 * once, abs=250)
    assert any(u.end_ms == pytest.approx(5000 + once, abs=250) for u in heard)
    assert all(a.end_ms <= b.start_ms for a, b in pairwise(heard))


def test_a_drifting_clock_and_a_lost_packet_make_no_seam() -> None:
    signal = hello()
    ear, heard, place = Ear(WHO), [], 0
    for number, at in enumerate(range(0, signal.size, PACKET)):
        place = at + number // 10
        if number != 60:
            ear.hear(place, signal[at : at + PACKET])
    ear.time(place + 96_000)
    heard = ear.utterances()
    assert [u.start_ms for u in heard] == pytest.approx(
        [u.start_ms for u in listen(signal)], abs=70
    )


def test_who_speaks_on_and_on_is_cut() -> None:
    words = hello()
    loud = np.abs(words).reshape(-1, PACKET).max(axis=1) > 0.02
    without_pauses = words.reshape(-1, PACKET)[loud].reshape(-1)
    heard = listen(np.tile(without_pauses, 4))
    assert len(heard) >= 2
    assert max(u.end_ms - u.start_ms for u in heard) <= LONGEST_MS
    assert max(u.pcm.size / 16 for u in heard) <= LONGEST_MS + 2 * PAD_MS


def test_silence_is_forgotten() -> None:
    ear = Ear(WHO)
    ear.hear(0, quiet(0.5))
    assert ear.listening
    ear.time(48_000 * 3)
    assert not ear.listening
    assert ear.utterances() == []


def test_whoever_is_stopped_is_heard_up_to_there() -> None:
    ear = Ear(WHO)
    signal = hello()[: 48_000 * 4]
    for at in range(0, signal.size, PACKET):
        ear.hear(at, signal[at : at + PACKET])
    ear.stop(48 * 3500)
    [*_, last] = ear.utterances()
    assert last.end_ms == 3500
    assert last.pcm.size <= (last.end_ms - last.start_ms + PAD_MS) * 16
    ear.stop()
    assert ear.utterances() == []
