from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transcripts.sounds import noise, silence
from transcripts.guard import audible, believable, placed, whole_words
from transcripts.packing import GAP_MS, Layout, levels
from transcripts.transcriber import HeardSegment, HeardWord
from transcripts.words import Span, Word, joined

SAID: Final = HeardSegment(0.0, 1.0, "Good evening.", (), 0.05, -0.3, 1.1)


def heard(*texts: str) -> tuple[HeardWord, ...]:
    return tuple(HeardWord(at, at + 0.8, text, 0.9) for at, text in enumerate(texts))


@pytest.mark.parametrize(
    "made_up",
    [
        replace(SAID, no_speech_probability=0.61),
        replace(SAID, average_log_probability=-1.01),
        replace(SAID, compression_ratio=2.41),
    ],
)
def test_what_the_engine_itself_doubts_is_not_believed(made_up: HeardSegment) -> None:
    assert believable(SAID)
    assert not believable(made_up)


def test_a_word_over_silence_was_not_said() -> None:
    window = levels(np.concatenate([noise(2.0, -25), silence(2.0), noise(2.0, -80)]))
    assert audible(HeardWord(0.5, 1.0, "yes", 0.9), window)
    assert not audible(HeardWord(2.5, 3.0, "thank", 0.9), window)
    assert not audible(HeardWord(4.5, 5.0, "you", 0.9), window)
    assert not audible(HeardWord(9.0, 9.5, "bye", 0.9), window)


def test_a_quiet_speaker_is_heard_all_the_same() -> None:
    assert audible(HeardWord(0.5, 1.0, "yes", 0.9), levels(noise(2.0, -62)))


def test_nothing_is_audible_in_silence() -> None:
    assert not audible(HeardWord(0.0, 1.0, "thanks", 0.9), levels(silence(2.0)))


@pytest.mark.parametrize(
    ("text", "given", "whole"),
    [
        ("A full-featured room.", (" A", " full", "-featured", " room."), None),
        ("See www.encore.example", (" See", " www", ".encore", ".example"), None),
        ("It cost 1,000 now", (" It", " cost", " 1", ",000", " now"), None),
        ("without spaces before", ("without", "spaces", "before"), None),
        ("今日は。元気", ("今日", "は。", "元気"), ["今日", "は。", "元気"]),
        ("something else", (" What", " is", " given"), ["What", "is", "given"]),
    ],
)
def test_what_is_written_together_is_one_word(
    text: str, given: tuple[str, ...], whole: list[str] | None
) -> None:
    segment = replace(SAID, text=text, words=heard(*given))
    assert [word.text for word in whole_words(segment)] == (whole or text.split())


def test_a_word_in_pieces_lasts_to_its_last_and_is_as_sure_as_its_worst() -> None:
    pieces = (HeardWord(1, 1.5, " www", 0.9), HeardWord(1.5, 2, ".encore", 0.4))
    segment = replace(SAID, text="www.encore", words=pieces)
    assert list(whole_words(segment)) == [HeardWord(1, 2, "www.encore", 0.4)]


def test_words_come_to_their_place_on_the_track() -> None:
    layout = Layout((Span(10_000, 11_000), Span(60_000, 62_000)))
    later = (1000 + GAP_MS) / 1000
    words = [
        HeardWord(0.2, 0.6, "good", 0.91234),
        HeardWord(0.7, 1.1, "evening.", 0.8),
        HeardWord(later - 0.05, later + 0.5, "Who", 0.7),
    ]
    assert list(placed(words, layout)) == [
        (0, Word(10_200, 10_600, "good", 0.912)),
        (0, Word(10_700, 11_000, "evening.", 0.8)),
        (1, Word(60_000, 60_500, "Who", 0.7)),
    ]


Times = st.lists(st.tuples(st.floats(-1, 40), st.floats(0, 5)), max_size=40)


@given(Times, st.lists(st.tuples(st.integers(0, 9000), st.integers(1, 9000)), min_size=1))
def test_words_lie_in_their_regions_in_order(
    times: list[tuple[float, float]], steps: list[tuple[int, int]]
) -> None:
    edges = np.cumsum([ms for step in steps for ms in step]).tolist()
    layout = Layout(tuple(Span(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True)))
    words = [HeardWord(start, start + length, "word", 0.5) for start, length in times]
    found = list(placed(words, layout))
    assert len(found) == len(words)
    for number, word in found:
        region = layout.regions[number]
        assert region.start_ms <= word.start_ms <= word.end_ms <= region.end_ms
    assert all(a[1].start_ms <= b[1].start_ms for a, b in pairwise(found))
    assert all(a[0] <= b[0] for a, b in pairwise(found))


@pytest.mark.parametrize(
    ("texts", "line"),
    [
        ((), ""),
        (("Good", "evening."), "Good evening."),
        (("こんにちは", "世界"), "こんにちは世界"),
        (("สวัสดี", "ครับ"), "สวัสดีครับ"),
        (("안녕", "하세요"), "안녕 하세요"),
        (("HLS", "は", "good"), "HLSはgood"),
    ],
)
def test_scripts_without_spaces_get_none(texts: tuple[str, ...], line: str) -> None:
    assert joined(texts) == line
