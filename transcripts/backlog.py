"""Utterances that wait for the engine: who is next, and who waited too long; pure.

A caption is worth something soon or not at all. While the engine keeps up they are taken in the
order in which they ended. What one speaker said meanwhile is heard in one go, which costs
hardly more than the first of it: so the more wait, the cheaper each becomes. What is late is
taken newest first, when nothing fresh waits; what is too old is dropped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final
from uuid import UUID

import numpy as np

from transcripts.transcriber import RATE, Pcm
from transcripts.utterances import Utterance

FRESH_S: Final = 3.0
TOO_OLD_S: Final = 10.0
MOST: Final = 64
"""As many wait at the same time, over all rooms."""

JOINED_MS: Final = 11_000
"""So much one question holds at most: the engine looks at 15 s, of which it wants 4 silent."""

APART_MS: Final = 1500
"""Pieces with a longer pause between them are different captions."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """`since_s`: when its speech ended, on any clock that does not jump."""

    recording_id: UUID
    said: Utterance
    since_s: float


class Backlog:
    def __init__(self) -> None:
        self._waiting: list[Waiting] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, waiting: Waiting) -> None:
        self._waiting.append(waiting)

    def drop_late(self, now_s: float) -> list[Waiting]:
        """What is too old by now, or too much; the oldest first."""
        self._waiting.sort(key=lambda w: w.since_s)
        count = sum(now_s - w.since_s > TOO_OLD_S for w in self._waiting)
        count = max(count, len(self._waiting) - MOST)
        dropped, self._waiting = self._waiting[:count], self._waiting[count:]
        return dropped

    def drop_recording(self, recording_id: UUID) -> list[Waiting]:
        """Whoever asks for it has lost the room."""
        dropped = [w for w in self._waiting if w.recording_id == recording_id]
        self._waiting = [w for w in self._waiting if w.recording_id != recording_id]
        return dropped

    def take(self, now_s: float) -> Waiting | None:
        """The next, together with what its speaker said around it."""
        if not self._waiting:
            return None
        fresh = [w for w in self._waiting if now_s - w.since_s <= FRESH_S]
        if fresh:
            chosen = min(fresh, key=lambda w: w.since_s)
        else:
            chosen = max(self._waiting, key=lambda w: w.since_s)
        together = self._around(chosen)
        self._waiting = [w for w in self._waiting if w not in together]
        return joined(together)

    def _around(self, chosen: Waiting) -> list[Waiting]:
        """The chosen one and its neighbors, later ones first, while they fit together."""
        same = [w for w in self._waiting if _speaker(w) == _speaker(chosen)]
        same.sort(key=lambda w: w.said.start_ms)
        at = same.index(chosen)
        together = [chosen]
        for later in same[at + 1 :]:
            if not _fits([*together, later]):
                break
            together.append(later)
        for earlier in reversed(same[:at]):
            if not _fits([earlier, *together]):
                break
            together.insert(0, earlier)
        return together


def _speaker(waiting: Waiting) -> tuple[UUID, UUID]:
    return waiting.recording_id, waiting.said.participant_id


def _fits(parts: Sequence[Waiting]) -> bool:
    pauses = (after.said.start_ms - before.said.end_ms for before, after in pairwise(parts))
    return max(pauses) <= APART_MS and parts[-1].said.end_ms - parts[0].said.start_ms <= JOINED_MS


def joined(parts: Sequence[Waiting]) -> Waiting:
    """One utterance out of several of one speaker, with the pauses that were between them."""
    first, last = parts[0], parts[-1]
    if len(parts) == 1:
        return first
    pieces: list[Pcm] = [first.said.pcm]
    for before, after in pairwise(parts):
        # Each piece has its padding, which lies in the pause already.
        spoken = after.said.start_ms - before.said.end_ms
        padding = _padding(before) // 2 + _padding(after) // 2
        pieces.append(np.zeros(max(spoken - padding, 0) * RATE // 1000, np.float32))
        pieces.append(after.said.pcm)
    said = Utterance(
        first.said.participant_id,
        first.said.start_ms,
        last.said.end_ms,
        np.concatenate(pieces),
    )
    return Waiting(first.recording_id, said, last.since_s)


def _padding(waiting: Waiting) -> int:
    said = waiting.said
    return max(said.pcm.size * 1000 // RATE - (said.end_ms - said.start_ms), 0)
