import html
import re
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.webvtt import cue, document, escape, note, segment, timestamp


@dataclass(frozen=True, slots=True)
class Cue:
    start_ms: int
    end_ms: int
    speaker: str
    text: str
    id: str = ""


HELLO = Cue(1000, 2500, "Ada", "Hello, everyone!", "1")


def test_a_document() -> None:
    two = Cue(3_723_004, 3_725_000, "Ben & <Co>", "1 < 2,\nso --> that", "second")
    assert document([HELLO, two], ["made --> by\nus"]) == (
        "WEBVTT\n\n"
        "NOTE made → by\nus\n\n"
        "1\n00:00:01.000 --> 00:00:02.500\n<v Ada>Hello, everyone!</v>\n\n"
        "second\n01:02:03.004 --> 01:02:05.000\n"
        "<v Ben &amp; &lt;Co&gt;>1 &lt; 2,\nso --&gt; that</v>\n"
    )


def test_a_document_without_cues_is_one() -> None:
    assert document([]) == "WEBVTT\n"


def test_a_segment_says_where_its_times_are_on_the_media() -> None:
    head = "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n\n"
    assert segment([]) == head
    hi = Cue(1000, 2500, "", "hi")
    assert segment([hi]) == f"{head}00:00:01.000 --> 00:00:02.500\nhi\n\n"


@pytest.mark.parametrize(
    ("ms", "written"),
    [(0, "00:00:00.000"), (59_999, "00:00:59.999"), (360_000_000, "100:00:00.000")],
)
def test_timestamps(ms: int, written: str) -> None:
    assert timestamp(ms) == written


def test_a_cue_lasts_at_least_a_millisecond() -> None:
    assert "00:00:02.500 --> 00:00:02.501" in cue(Cue(2500, 2500, "", "x"))


def test_what_would_end_a_block_or_begin_a_cue_is_written_otherwise() -> None:
    odd = cue(Cue(0, 1000, "A\nB", "one\n\n \ntwo\r\nthree\x00", "an id\n-->"))
    assert odd == "an id →\n00:00:00.000 --> 00:00:01.000\n<v A B>one\ntwo\nthree\ufffd</v>\n"
    assert note("a\n\nb") == "NOTE a\nb\n"


def test_only_what_must_be_is_escaped() -> None:
    assert escape("""Tom & "Jerry's" <3""") == """Tom &amp; "Jerry's" &lt;3"""


# What the standard's parser (section 6) makes of it, as far as we write it.
TIMES = re.compile(r"(\d{2,}):(\d\d):(\d\d)\.(\d{3}) --> (\d{2,}):(\d\d):(\d\d)\.(\d{3})")


def parsed(text: str) -> list[Cue]:
    head, *blocks = text.removesuffix("\n").split("\n\n")
    assert head == "WEBVTT"
    return [_cue(block.split("\n")) for block in blocks if not block.startswith("NOTE")]


def _cue(rows: list[str]) -> Cue:
    name = "" if "-->" in rows[0] else rows.pop(0)
    times = TIMES.fullmatch(rows.pop(0))
    assert times is not None
    values = [int(value) for value in times.groups()]
    start, end = (((h * 60 + m) * 60 + s) * 1000 + ms for h, m, s, ms in (values[:4], values[4:]))
    voice = re.fullmatch(r"<v ([^>\n]+)>([^<]*)</v>", "\n".join(rows))
    assert voice is not None
    speaker, said = map(html.unescape, voice.groups())
    return Cue(start, end, speaker, said, name)


Lines = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1).filter(
    lambda text: text.split() == [text]
)
Cues = st.builds(
    Cue,
    start_ms=st.integers(0, 10**8),
    end_ms=st.just(10**8 + 1),
    speaker=Lines,
    text=st.lists(Lines, min_size=1, max_size=2).map("\n".join),
    id=st.integers(1).map(str),
)


@given(st.lists(Cues), st.lists(st.text()))
def test_whatever_is_said_comes_back(cues: list[Cue], notes: list[str]) -> None:
    assert parsed(document(cues, notes)) == cues


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_timestamps_sort_as_their_times(one: int, other: int) -> None:
    for earlier, later in pairwise(sorted([one, other])):
        long = (len(timestamp(earlier)), timestamp(earlier))
        assert long <= (len(timestamp(later)), timestamp(later))
