from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pytest

from tests.transcripts.fakes import ScriptedTranscriber
from tests.transcripts.sounds import SPEECH, hum, music, noise, silence, spoken
from transcripts.pipeline import (
    TrackPlan,
    WindowPlan,
    decode_window,
    plan_track,
    transcribe_track,
)
from transcripts.transcriber import Decoding, Heard, Pcm
from transcripts.words import Span


class MemoryTrack:
    def __init__(self, *parts: Pcm) -> None:
        self._pcm = np.concatenate(parts)
        self.longest_read = 0

    @property
    def samples(self) -> int:
        return self._pcm.size

    async def read(self, start: int, end: int) -> Pcm:
        assert 0 <= start <= end <= self.samples
        self.longest_read = max(self.longest_read, end - start)
        return self._pcm[start:end]


class Deaf(ScriptedTranscriber):
    """Understands nothing with one beam; with more, what a ScriptedTranscriber does."""

    def __init__(self, hears_with: int, language: str = "en") -> None:
        super().__init__(language=language)
        self.hears_with = hears_with

    async def hear(self, pcm: Pcm, decoding: Decoding) -> Heard:
        heard = await super().hear(pcm, decoding)
        return heard if decoding.beam >= self.hears_with else replace(heard, segments=())


class Polyglot(ScriptedTranscriber):
    """Takes every sample for another language."""

    def __init__(self, answers: Sequence[dict[str, float]]) -> None:
        super().__init__()
        self.answers = list(answers)

    async def languages(self, pcm: Pcm) -> list[tuple[str, float]]:
        answer = self.answers.pop(0)
        return sorted(answer.items(), key=lambda item: -item[1])


SAID: Final = spoken(SPEECH / "06-ben.opus")


def track() -> MemoryTrack:
    return MemoryTrack(silence(2), SAID, silence(3), SAID, silence(1))


def long_track() -> MemoryTrack:
    """Speech for three windows."""
    return MemoryTrack(*[part for _ in range(30) for part in (SAID, silence(1))])


@pytest.mark.parametrize(
    "sound",
    [silence(5), noise(5), noise(5, -60), hum(5), music(5), silence(0)],
    ids=["silence", "noise", "quiet noise", "hum", "music", "nothing"],
)
async def test_where_nobody_speaks_nothing_is_asked(sound: Pcm) -> None:
    engine = ScriptedTranscriber()
    assert await plan_track(MemoryTrack(sound), engine) == TrackPlan(None, 0.0, 0, ())
    assert engine.asked == []


async def test_words_are_at_their_place_in_the_room() -> None:
    found = await transcribe_track(track(), ScriptedTranscriber())
    assert (found.language, found.language_probability) == ("en", 0.9)
    assert found.missing == ()
    second_ms = 5000 + SAID.size // 16
    assert {word.start_ms // second_ms for word in found.words} == {0, 1}
    assert all(1700 <= word.start_ms < word.end_ms for word in found.words)


async def test_a_language_that_is_given_is_not_asked_for() -> None:
    plan = await plan_track(track(), Polyglot([]), language="it")
    assert (plan.language, plan.language_probability) == ("it", 1.0)


async def test_a_clear_language_is_one_question() -> None:
    engine = Polyglot([{"it": 0.95, "en": 0.05}])
    plan = await plan_track(long_track(), engine)
    assert (plan.language, plan.language_probability) == ("it", 0.95)


async def test_a_doubtful_language_is_that_of_more_of_the_track() -> None:
    doubtful = [{"it": 0.6, "en": 0.4}, *[{"en": 0.8, "it": 0.2}] * 3]
    plan = await plan_track(long_track(), Polyglot(doubtful))
    assert plan.language == "en"
    assert plan.language_probability == pytest.approx(0.7)


@pytest.mark.parametrize(("language", "beam"), [("en", 1), ("it", 5), ("fr", 5), (None, 5)])
async def test_english_needs_one_beam(language: str | None, beam: int) -> None:
    engine = ScriptedTranscriber()
    window = WindowPlan(0, (Span(1800, 3800),))
    await decode_window(track(), engine, window, language=language)
    assert [decoding.beam for decoding in engine.asked] == [beam]


async def test_every_window_and_retry_has_a_seed_of_its_own() -> None:
    engine = Deaf(hears_with=9)
    long = long_track()
    plan = await plan_track(long, engine)
    for window in plan.windows:
        await decode_window(long, engine, window, language="en")
    seeds = [decoding.seed for decoding in engine.asked]
    assert len(plan.windows) >= 3
    assert len(set(seeds)) == len(seeds)


async def test_a_region_without_words_is_heard_again_alone() -> None:
    engine = Deaf(hears_with=5)
    plan = await plan_track(track(), engine)
    (window,) = plan.windows
    result = await decode_window(track(), engine, window, language="en")
    assert [decoding.beam for decoding in engine.asked] == [1, 5, 5]
    assert result.missing == ()
    assert [
        any(region.start_ms <= word.start_ms < region.end_ms for word in result.words)
        for region in window.regions
    ] == [True, True]


async def test_a_short_sound_without_words_gets_the_quick_look() -> None:
    engine = Deaf(hears_with=9)
    result = await decode_window(track(), engine, WindowPlan(0, (Span(2000, 3000),)), language="en")
    assert len(engine.asked) == 1
    assert result.words[0].start_ms == 2000
    assert result.words[-1].end_ms == 3000
    assert result.missing == ()


async def test_what_is_not_understood_is_said_to_be_missing() -> None:
    found = await transcribe_track(track(), Deaf(hears_with=9))
    assert found.words == ()
    assert len(found.missing) == 2


async def test_windows_may_be_decoded_in_any_order() -> None:
    engine = ScriptedTranscriber()
    long = long_track()
    plan = await plan_track(long, engine)
    some = {w.number: await decode_window(long, engine, w, language="en") for w in plan.windows}
    backwards = {
        w.number: await decode_window(long, engine, w, language="en")
        for w in reversed(plan.windows)
    }
    assert some == backwards
    whole = await transcribe_track(long, engine, language="en")
    assert whole.words == tuple(word for n in sorted(some) for word in some[n].words)
    assert [w.start_ms for w in whole.words] == sorted(w.start_ms for w in whole.words)


async def test_an_hour_is_never_in_memory_at_once() -> None:
    long = long_track()
    await transcribe_track(long, ScriptedTranscriber())
    assert long.longest_read <= 33 * 16_000
    assert long.samples > 2 * long.longest_read
