"""A caption's language, and its words as cues."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from transcripts.caption_language import ATTEMPTS, ENOUGH_MS, SURE, SpeakerLanguage
from transcripts.caption_lines import readable
from transcripts.cues import LINE
from transcripts.transcriber import Heard


def heard(language: str, probability: float) -> Heard:
    return Heard(language, probability, ())


def test_a_short_word_is_heard_in_the_rooms_language() -> None:
    assert SpeakerLanguage("it").to_ask(ENOUGH_MS - 1) == "it"


def test_a_language_is_found_out_once_and_kept() -> None:
    spoken = SpeakerLanguage("en")
    assert spoken.to_ask(ENOUGH_MS) is None
    assert spoken.found(heard("it", SURE)) is None
    assert spoken.to_ask(ENOUGH_MS) == "it"
    assert spoken.to_ask(100) == "it"


def test_where_the_engine_is_not_sure_the_rooms_language_counts() -> None:
    spoken = SpeakerLanguage("en")
    for _ in range(ATTEMPTS):
        assert spoken.to_ask(ENOUGH_MS) is None
        assert spoken.found(heard("it", SURE - 0.1)) == "en"
    assert spoken.to_ask(ENOUGH_MS) == "en", "after some attempts nobody asks any more"


def test_an_unsure_guess_of_the_rooms_language_needs_no_second_look() -> None:
    assert SpeakerLanguage("en").found(heard("en", 0.2)) is None


def test_what_people_chose_counts_most() -> None:
    spoken = SpeakerLanguage("en")
    spoken.found(heard("it", 0.99))
    spoken.chosen = "fr"
    assert spoken.to_ask(ENOUGH_MS) == "fr"


def test_a_short_caption_is_one_cue() -> None:
    [cue] = readable("Hello, everyone!", 1000, 2400)
    assert (cue.start_ms, cue.end_ms, cue.text) == (1000, 2400, "Hello, everyone!")


def test_text_without_a_word_is_no_caption() -> None:
    assert readable("", 0, 1000) == []
    assert readable(" ... ", 0, 1000) == []


@given(st.text("abc ,.", min_size=1, max_size=300), st.integers(100, 10_000))
def test_cues_follow_each_other_and_hold_every_word(text: str, length_ms: int) -> None:
    cues = readable(text, 5000, 5000 + length_ms)
    if not cues:
        assert not any(character.isalnum() for character in text)
        return
    assert " ".join(cue.text for cue in cues).split() == text.split() or len(text) > LINE
    assert "".join("".join(cue.text.split()) for cue in cues) == "".join(text.split())
    assert cues[0].start_ms == 5000
    assert all(a.end_ms <= b.start_ms for a, b in pairwise(cues))
    assert all(cue.start_ms < cue.end_ms for cue in cues)
