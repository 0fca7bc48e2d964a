"""Whichever way a search goes, it finds what reading every cue would."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transcripts.archive import Archive
from transcripts.reach import Effort
from transcripts.tags import MOST_SPANS, SPANS_S, tags_between, tags_of

PLATFORM = UUID(int=7)
ENOUGH = 6
LOOKS_UP = Effort(common=2, enough_matches=ENOUGH)
EFFORTS = {
    "reads": Effort(common=0, enough_matches=ENOUGH),
    "reads_little": Effort(common=0, enough_matches=ENOUGH, most_cues=6),
    "reads_more": Effort(common=0, enough_matches=ENOUGH, first_recordings=1),
    "looks_up": LOOKS_UP,
    "lately": replace(LOOKS_UP, few=0),
    "more_lately": replace(LOOKS_UP, few=0, spare=0.5),
    "yet_more_lately": replace(LOOKS_UP, few=0, spare=0.1),
    "soon_all": replace(LOOKS_UP, few=3, spare=0.1),
    "hears_little": replace(LOOKS_UP, few=0, little=1, reading=0),
    "hears_little_of_few": replace(LOOKS_UP, few=0, little=1, reading=1_000),
    "surprised": replace(LOOKS_UP, most_looked_up=4),
    "surprised_lately": replace(LOOKS_UP, few=0, most_looked_up=4, most_cues=6),
}


@dataclass(frozen=True)
class Line:
    """A cue's words, and those that its speaker goes on with."""

    own: list[str]
    further: list[str]

    def begins(self, phrase: str, *, anywhere: bool = False) -> bool:
        wanted, words = phrase.split(), self.own + self.further
        starts = range(len(words) if anywhere else len(self.own))
        return any(words[at : at + len(wanted)] == wanted for at in starts)


ASKED: dict[str, Callable[[Line], bool]] = {
    "red": lambda line: line.begins("red"),
    "red -boat": lambda line: line.begins("red") and not line.begins("boat"),
    "red or boat": lambda line: line.begins("red") or line.begins("boat"),
    '"red boat"': lambda line: line.begins("red boat"),
    '"boat boat"': lambda line: line.begins("boat boat"),
    'sea -"red boat"': lambda line: line.begins("sea") and not line.begins("red boat"),
    "red boat": lambda line: both(line, "red", "boat"),
    '"red boat" sea': lambda line: both(line, "red boat", "sea"),
    '"red boat sea"': lambda line: line.begins("red boat sea"),
    '"red boat" or "sea left"': lambda line: line.begins("red boat") or line.begins("sea left"),
    "re*": lambda line: any(word.startswith("re") for word in line.own),
    "boat re*": lambda line: both(line, "boat", "red") or both(line, "boat", "reef"),
    '"boat re*': lambda line: line.begins("boat red") or line.begins("boat reef"),
}


def both(line: Line, *phrases: str) -> bool:
    return any(map(line.begins, phrases)) and all(
        line.begins(phrase, anywhere=True) for phrase in phrases
    )


def lines_of(texts: list[str]) -> list[Line]:
    return [Line(own.split(), further.split()) for own, further in pairwise([*texts, ""])]


@pytest.fixture
async def said(archive: Archive) -> dict[UUID, list[Line]]:
    """By recording, the newest first; some cannot be heard, and are left out."""
    random, heard = Random(4), {}  # noqa: S311 - a corpus, not a secret
    for at in range(12):
        texts = [
            " ".join(random.choices(["red", "boat", "sea", "reef", "left"], k=4)) for _ in range(4)
        ]
        hidden = at in (3, 7, 10)
        room = await archive.recording(*texts, **{"visibility": "unlisted"} if hidden else {})
        if not hidden:
            assert room.recording_id is not None
            heard[room.recording_id] = lines_of(texts)
    await archive.analyze()
    return dict(reversed(heard.items()))


@pytest.mark.parametrize("way", EFFORTS)
async def test_all_ways_find_the_newest(
    archive: Archive, said: dict[UUID, list[Line]], way: str
) -> None:
    for text, matches in ASKED.items():
        prefix = text.endswith("*")
        found = await archive.find(text.rstrip("*"), prefix=prefix, effort=EFFORTS[way])
        assert found.total is not None
        told = {one.recording_id: one.matches for one in found.recordings}
        counts = {one: sum(map(matches, lines)) for one, lines in said.items()}
        expected, total = {}, 0
        for recording_id, count in counts.items():
            if count and total < ENOUGH:
                expected[recording_id] = count
                total += count
        assert told == expected, text
        assert found.total.matches == total
        assert found.total.sampled == (total >= ENOUGH)


TIMES = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(TIMES, st.timedeltas(timedelta(0), timedelta(days=800)), st.floats(0, 1))
def test_tags_cover_a_time(oldest: datetime, length: timedelta, share: float) -> None:
    newest = oldest + length
    tags = tags_between(PLATFORM, oldest, newest)
    assert len(tags) <= MOST_SPANS
    assert tags or length > timedelta(seconds=(MOST_SPANS - 2) * max(SPANS_S.values()))
    for at in (oldest, oldest + length * share, newest):
        assert not tags or len(set(tags) & set(tags_of(PLATFORM, PLATFORM, at))) == 1
    long_ago = oldest - max(length, timedelta(days=1))
    assert set(tags).isdisjoint(tags_of(PLATFORM, PLATFORM, long_ago))
