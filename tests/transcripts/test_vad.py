from itertools import pairwise
from typing import Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transcripts.sounds import SPEECH, hum, music, noise, silence, spoken
from transcripts.transcriber import RATE, Pcm
from transcripts.vad import (
    FRAME,
    FRAME_MS,
    Endpointer,
    Probabilities,
    Span,
    SpeechRules,
    VoiceActivity,
    padded,
    regions,
)

BARE: Final = SpeechRules(pad_ms=0, min_speech_ms=0)

Frames = st.lists(st.floats(0, 1, width=32), max_size=300)


def heard(pcm: Pcm, *, step: int | None = None) -> Probabilities:
    voice = VoiceActivity()
    size = step or max(pcm.size, 1)
    parts = [voice.feed(pcm[at : at + size]) for at in range(0, pcm.size, size)]
    return np.concatenate([*parts, voice.finish()])


def test_speech_is_found_where_it_is() -> None:
    said = spoken(SPEECH / "06-ben.opus")
    pcm = np.concatenate([silence(2.0), said, silence(2.0)])
    (found,) = regions(heard(pcm), pcm.size * 1000 // RATE)
    assert abs(found.start_ms - 1900) < 300
    assert abs(found.end_ms - (2000 + said.size / 16)) < 400


def test_pieces_of_any_length_give_what_the_whole_gives() -> None:
    pcm = spoken(SPEECH / "03-ada.opus")
    whole = heard(pcm)
    assert whole.size == -(-pcm.size // FRAME)
    for step in (160, 511, 777, 5000):
        assert np.array_equal(heard(pcm, step=step), whole)


@pytest.mark.parametrize(
    "pcm",
    [silence(4), noise(4), noise(4, -60), hum(4), music(4)],
    ids=["silence", "noise", "quiet noise", "hum", "music"],
)
def test_what_is_no_speech_is_none(pcm: Pcm) -> None:
    assert regions(heard(pcm), pcm.size * 1000 // RATE) == []


def test_after_silence_a_voice_is_listened_to_afresh() -> None:
    said = spoken(SPEECH / "03-ada.opus")
    said = said[: said.size // FRAME * FRAME]
    twice = heard(np.concatenate([said, np.zeros(FRAME * 60, np.float32), said]))
    once = heard(said)
    assert np.array_equal(twice[-once.size :], once)
    assert not twice[once.size + 20 : once.size + 60].any()


def test_nothing_is_nothing() -> None:
    assert VoiceActivity().finish().size == 0
    assert regions([], 0) == []


def frames(*runs: tuple[float, int]) -> list[float]:
    return [probability for probability, count in runs for _ in range(count)]


def test_a_short_silence_ends_nothing_and_a_long_one_does() -> None:
    some = frames((0.9, 10), (0.1, 10), (0.9, 10), (0.1, 20), (0.9, 5))
    assert regions(some, 55 * FRAME_MS, BARE) == [Span(0, 30 * 32), Span(50 * 32, 55 * 32)]


def test_faint_speech_is_speech_when_some_of_it_is_clear() -> None:
    faint = frames((0.4, 10), (0.6, 1), (0.4, 30), (0.1, 20))
    assert regions(faint, 61 * FRAME_MS, BARE) == [Span(0, 41 * 32)]
    assert regions(frames((0.4, 61)), 61 * FRAME_MS, BARE) == []


def test_only_a_few_seconds_before_clear_speech_are_taken_for_speech() -> None:
    doubtful = frames((0.4, 1000), (0.6, 10), (0.0, 20))
    (found,) = regions(doubtful, 1030 * FRAME_MS, BARE)
    assert 3900 <= 1000 * FRAME_MS - found.start_ms <= 4000


def test_a_click_is_no_speech() -> None:
    assert regions(frames((0, 5), (1, 1), (0, 40)), 46 * 32) == []


def test_padding_shares_a_short_silence() -> None:
    spans = [Span(100, 1000), Span(1100, 2000), Span(3000, 3100)]
    assert padded(spans, 3150, 200) == [Span(0, 1050), Span(1050, 2200), Span(2800, 3150)]


def test_captions_hear_of_an_end_while_the_track_goes_on() -> None:
    ears = Endpointer(SpeechRules(min_silence_ms=320))
    assert ears.speaking_since_ms is None
    assert ears.feed(frames((0, 10), (1, 20))) == []
    assert ears.speaking_since_ms == 320
    assert ears.feed(frames((0, 9))) == []
    assert ears.silent_ms == 288
    assert ears.feed([0.0]) == [Span(320, 960)]
    assert ears.speaking_since_ms is None
    assert ears.finish() == []


def test_who_speaks_on_is_cut_where_it_is_quietest() -> None:
    ears = Endpointer(SpeechRules(longest_ms=100 * FRAME_MS))
    said = frames((1, 70), (0.6, 1), (1, 29))
    assert ears.feed(said) == [Span(0, 70 * FRAME_MS)]
    assert ears.speaking_since_ms == 70 * FRAME_MS
    assert ears.finish() == [Span(70 * FRAME_MS, 100 * FRAME_MS)]


@given(Frames, st.sampled_from([0, 96, 320, 500]), st.sampled_from([None, 320, 1600]))
def test_stretches_lie_in_order_within_the_track(
    some: list[float], silence_ms: int, longest_ms: int | None
) -> None:
    rules = SpeechRules(min_silence_ms=max(silence_ms, 32), longest_ms=longest_ms)
    duration_ms = len(some) * FRAME_MS
    found = regions(some, duration_ms, rules)
    assert all(0 <= span.start_ms < span.end_ms <= duration_ms for span in found)
    assert all(before.end_ms <= after.start_ms for before, after in pairwise(found))


@given(Frames)
def test_every_frame_of_speech_is_in_a_stretch(some: list[float]) -> None:
    found = regions(some, len(some) * FRAME_MS, BARE)
    for number, probability in enumerate(some):
        if probability >= BARE.begin:
            assert any(s.start_ms <= number * FRAME_MS < s.end_ms for s in found)


@given(Frames, st.integers(0, 300))
def test_an_endpointer_does_not_care_how_it_is_fed(some: list[float], at: int) -> None:
    once, twice = Endpointer(SpeechRules()), Endpointer(SpeechRules())
    whole = [*once.feed(some), *once.finish()]
    assert [*twice.feed(some[:at]), *twice.feed(some[at:]), *twice.finish()] == whole
