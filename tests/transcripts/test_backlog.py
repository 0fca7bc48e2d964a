"""Who is heard next when the engine has more to do than it can."""

from itertools import pairwise
from uuid import UUID

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from transcripts.backlog import FRESH_S, JOINED_MS, MOST, TOO_OLD_S, Backlog, Waiting, joined
from transcripts.utterances import Utterance

ROOM = UUID(int=1)
ADA, BEN = UUID(int=10), UUID(int=11)


def said(who: UUID, start_ms: int, end_ms: int, *, room: UUID = ROOM) -> Waiting:
    """On a clock that shows the room's time; the sound has 100 ms of padding on both sides."""
    pcm = np.full((end_ms - start_ms + 200) * 16, 0.1, np.float32)
    return Waiting(room, Utterance(who, start_ms, end_ms, pcm), end_ms / 1000)


def filled(*waiting: Waiting) -> Backlog:
    backlog = Backlog()
    for one in waiting:
        backlog.put(one)
    return backlog


def taken(backlog: Backlog, now_s: float) -> list[tuple[UUID, int, int]]:
    found = []
    while (one := backlog.take(now_s)) is not None:
        found.append((one.said.participant_id, one.said.start_ms, one.said.end_ms))
    return found


def test_nothing_waits_at_first() -> None:
    assert Backlog().take(0) is None
    assert Backlog().drop_late(1e9) == []


def test_fresh_ones_are_taken_in_the_order_in_which_they_ended() -> None:
    backlog = filled(said(ADA, 1000, 3000), said(BEN, 500, 2000))
    assert taken(backlog, 3.5) == [(BEN, 500, 2000), (ADA, 1000, 3000)]
    assert len(backlog) == 0


def test_late_ones_come_after_fresh_ones_and_the_newest_first() -> None:
    late, later = said(ADA, 0, 1000), said(BEN, 0, 2000)
    fresh = said(UUID(int=12), 4000, 5500)
    assert taken(filled(late, later, fresh), 2.1 + FRESH_S) == [
        (UUID(int=12), 4000, 5500),
        (BEN, 0, 2000),
        (ADA, 0, 1000),
    ]


def test_what_one_speaker_said_meanwhile_is_heard_in_one_go() -> None:
    backlog = filled(said(ADA, 0, 1000), said(BEN, 0, 1100), said(ADA, 1500, 2500))
    one = backlog.take(3.0)
    assert one is not None
    assert (one.said.participant_id, one.said.start_ms, one.said.end_ms) == (ADA, 0, 2500)
    assert one.since_s == 2.5
    assert one.said.pcm.size == (2500 + 200) * 16, "with the pause between them"
    assert taken(backlog, 3.0) == [(BEN, 0, 1100)]


def test_pieces_far_apart_or_too_long_together_stay_apart() -> None:
    apart = filled(said(ADA, 0, 1000), said(ADA, 3000, 4000))
    assert taken(apart, 4.0) == [(ADA, 0, 1000), (ADA, 3000, 4000)]
    long = filled(said(ADA, 0, 9000), said(ADA, 9300, 12_000))
    assert taken(long, 12.0) == [(ADA, 0, 9000), (ADA, 9300, 12_000)]


def test_the_same_person_in_two_rooms_is_two_speakers() -> None:
    other = UUID(int=2)
    backlog = filled(said(ADA, 0, 1000), said(ADA, 1200, 2000, room=other))
    assert [one[1:] for one in taken(backlog, 2.0)] == [(0, 1000), (1200, 2000)]
    assert len(filled(said(ADA, 0, 1000)).drop_recording(ROOM)) == 1


def test_what_is_too_old_or_too_much_is_dropped_the_oldest_first() -> None:
    old, young = said(ADA, 0, 1000), said(BEN, 0, 5000)
    backlog = filled(young, old)
    assert backlog.drop_late(1.0 + TOO_OLD_S) == []
    assert backlog.drop_late(1.1 + TOO_OLD_S) == [old]
    crowd = [said(UUID(int=n), 0, 1000 + n) for n in range(MOST + 2)]
    assert filled(*crowd).drop_late(2.0) == crowd[:2]


def test_pieces_that_overlap_by_their_padding_join_without_a_pause() -> None:
    one = joined([said(ADA, 0, 1000), said(ADA, 1100, 2000)])
    assert one.said.pcm.size == (1200 + 1100) * 16


@given(
    st.lists(
        st.tuples(st.sampled_from([ADA, BEN]), st.integers(0, 2000), st.integers(200, 9000)),
        max_size=12,
    )
)
def test_everything_is_taken_once_and_never_more_at_once_than_the_engine_hears(
    drawn: list[tuple[UUID, int, int]],
) -> None:
    """Each speaker's pieces follow each other, with the pauses that were drawn."""
    ends = {ADA: 0, BEN: 0}
    pieces = []
    for who, pause, length in drawn:
        start = ends[who] + pause
        ends[who] = start + length
        pieces.append(said(who, start, ends[who]))
    found = taken(filled(*pieces), 1e6)
    for who in ends:
        mine = sorted(one[1:] for one in found if one[0] == who)
        wanted = [(p.said.start_ms, p.said.end_ms) for p in pieces if p.said.participant_id == who]
        assert all(a[1] <= b[0] for a, b in pairwise(mine))
        assert sum(any(s <= a and b <= e for s, e in mine) for a, b in wanted) == len(wanted)
        assert {s for s, _ in mine} <= {s for s, _ in wanted}
        assert all(e - s <= JOINED_MS for s, e in mine)
