from transcripts.coverage import DOUBTFUL, better, evenly, thin, to_hear_again
from transcripts.words import Span, Word


def said(*texts: str) -> list[Word]:
    return [Word(at * 300, at * 300 + 250, text, 0.9) for at, text in enumerate(texts)]


def test_a_long_region_needs_a_word_a_second_or_so() -> None:
    assert thin(Span(0, 4000), said("one", "two", "three"))
    assert not thin(Span(0, 4000), said("one", "two", "three", "four"))


def test_a_short_region_may_hold_one_word_and_is_never_missing() -> None:
    assert not thin(Span(0, 1200), [])
    assert not to_hear_again(Span(0, 1200), said("yes"))


def test_a_region_without_any_word_is_heard_again_however_short() -> None:
    assert to_hear_again(Span(0, 300), [])


def test_what_says_more_is_taken() -> None:
    more, less = said("good", "evening"), said("good")
    assert better(less, more) == better(more, less) == more
    assert better(said("good"), said("food"))[0].text == "good"


def test_words_without_times_share_their_region() -> None:
    assert evenly(["oh", "no"], Span(1000, 2001)) == [
        Word(1000, 1500, "oh", DOUBTFUL),
        Word(1500, 2001, "no", DOUBTFUL),
    ]
    assert evenly([], Span(0, 500)) == []
