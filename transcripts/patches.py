"""What people made of a run's words: edits over stretches of one track, applied in order; pure.

The result depends on the run's words and the edits alone. So an undone edit leaves no trace,
and the same edits on another run apply wherever that run heard what they replaced, or what
they put; elsewhere they are conflicts, for a person to decide.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final
from uuid import UUID

from transcripts.alignment import NoRoomError, align, normal
from transcripts.words import Word, joined

NEAR_MS: Final = 1000
"""How far from an edit's place another run may have heard the same words."""


class OtherWordsError(ValueError):
    """Neither what an edit replaced nor what it put stands at its place."""


@dataclass(frozen=True, slots=True)
class Said:
    """A word, and where people want cues to begin: at it, not at it, or where it reads well."""

    word: Word
    begins: bool | None = None
    edited: bool = False


@dataclass(frozen=True, slots=True)
class Edit:
    """In place of the words that start in [start_ms, end_ms): `text`, or with None the same.

    `breaks`: where cues begin within it, at its first word always and nowhere else, and another
    one begins after it; empty leaves that to the reading.
    """

    id: UUID
    start_ms: int
    end_ms: int
    text: str | None
    breaks: tuple[int, ...]
    replaced: str


@dataclass(frozen=True, slots=True)
class Edited:
    """One track after all its edits; `conflicts` are those that found other words."""

    said: list[Said]
    conflicts: frozenset[UUID]


def apply_all(words: Sequence[Word], edits: Iterable[Edit]) -> Edited:
    """`words` ordered (alignment.ordered), `edits` in the order in which they were made."""
    said = [Said(word) for word in words]
    conflicts = set()
    for edit in edits:
        try:
            said = put(said, edit, locate(said, edit))
        except (OtherWordsError, NoRoomError):
            conflicts.add(edit.id)
    return Edited(said, frozenset(conflicts))


def within(said: Sequence[Said], start_ms: int, end_ms: int) -> slice:
    """The words that start in [start_ms, end_ms)."""
    first = bisect_left(said, start_ms, key=_start)
    return slice(first, bisect_left(said, end_ms, lo=first, key=_start))


def text_of(said: Iterable[Said]) -> str:
    return joined(s.word.text for s in said)


def locate(said: Sequence[Said], edit: Edit) -> slice:
    """Where the edit applies: at its own place, or near it where the same words are.

    Raises OtherWordsError.
    """
    there = within(said, edit.start_ms, edit.end_ms)
    if edit.text is None:
        return there
    wanted = (normal(edit.replaced), normal(edit.text))
    if normal(text_of(said[there])) in wanted:
        return there
    found = [place for text in wanted if text for place in _near(said, edit.start_ms, text)]
    if not found:
        raise OtherWordsError
    return min(found, key=lambda at: abs(_start(said[at.start]) - edit.start_ms))


def put(said: Sequence[Said], edit: Edit, place: slice) -> list[Said]:
    """Raises NoRoomError."""
    old = said[place]
    new = list(old) if edit.text is None else _replaced(said, edit, place)
    rest = list(said[place.stop :])
    if edit.breaks and new:
        new = _broken(new, edit.breaks)
        rest[:1] = [_beginning(s) for s in rest[:1]]
    return [*said[: place.start], *new, *rest]


def bounds(said: Sequence[Said], edit: Edit, place: slice) -> tuple[int, int]:
    """Where its words may lie: its range and the words' own, up to the neighbors."""
    start, end = edit.start_ms, edit.end_ms
    if old := said[place]:
        start, end = min(start, _start(old[0])), max(end, old[-1].word.end_ms)
    if place.start > 0:
        start = max(start, said[place.start - 1].word.end_ms)
    if place.stop < len(said):
        end = min(end, _start(said[place.stop]))
    return start, max(start, end)


def _replaced(said: Sequence[Said], edit: Edit, place: slice) -> list[Said]:
    """New words begin cues where the old ones did; where people cut, they cut nowhere else."""
    old = {s.word: s for s in said[place]}
    begins = {_start(s): s.begins for s in said[place]}
    other = False if any(b is not None for b in begins.values()) else None
    new = align(list(old), edit.text or "", *bounds(said, edit, place))
    result = [
        old.get(word, Said(word, begins.get(word.start_ms, other), edited=True)) for word in new
    ]
    if result and any(s.begins for s in said[place][:1]):
        result[0] = replace(result[0], begins=True)
    return result


def _broken(said: list[Said], breaks: tuple[int, ...]) -> list[Said]:
    firsts = {0} | {min(range(len(said)), key=lambda n: abs(_start(said[n]) - b)) for b in breaks}
    return [replace(s, begins=n in firsts) for n, s in enumerate(said)]


def _beginning(said: Said) -> Said:
    """What follows a stretch that was cut by hand; unless that is in one that was, too."""
    return replace(said, begins=True) if said.begins is None else said


def _near(said: Sequence[Said], start_ms: int, text: str) -> Iterable[slice]:
    """Runs of words close to `start_ms` whose letters are `text`."""
    nearby = within(said, start_ms - NEAR_MS, start_ms + NEAR_MS)
    count, letters, ends = nearby.stop - nearby.start, "", [0]
    for one in islice(said, nearby.start, None):
        if len(ends) > count and ends[-1] - ends[count] >= len(text):
            break
        letters += normal(one.word.text)
        ends.append(len(letters))
    for first in range(count):
        end = ends[first] + len(text)
        if letters.startswith(text, ends[first]) and ends[last := bisect_left(ends, end)] == end:
            yield slice(nearby.start + first, nearby.start + last)


def _start(said: Said) -> int:
    return said.word.start_ms
