"""Nothing leaks by rounding: parts of a whole sum to the whole, whatever the order."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payouts.lots import Lot, most_stars_within, part, released, split, take, take_from


def lot(stars: int = 500, cash: int = 699, gone: int = 0) -> Lot:
    return Lot(uuid4(), stars, gone, cash)


def gone(before: Lot, stars: int) -> Lot:
    return Lot(before.id, before.stars, before.gone + stars, before.cash_minor)


lots = st.builds(
    lambda stars, cash, part: lot(stars, cash, stars * part // 100),
    st.integers(1, 2000),
    st.integers(0, 5000),
    st.integers(0, 100),
)


def test_what_a_star_releases_is_a_difference_of_floors() -> None:
    assert take_from(lot(), 100).cash_minor == 139
    assert take_from(lot(gone=100), 100).cash_minor == 140
    assert lot(gone=100).cash_left_minor == 560


@given(st.integers(1, 2000), st.integers(0, 5000), st.lists(st.integers(1, 300), max_size=40))
def test_a_lot_that_is_spent_has_released_its_cash(
    stars: int, cash: int, wanted: list[int]
) -> None:
    one, total = lot(stars, cash), 0
    for want in wanted:
        taken = take_from(one, min(want, one.left))
        assert taken.cash_minor >= 0
        total += taken.cash_minor
        one = gone(one, taken.stars)
        assert one.cash_left_minor == cash - total
    assert take_from(one, one.left).cash_minor == cash - total


@given(st.lists(lots, max_size=5), st.integers(0, 6000))
def test_the_oldest_stars_go_first(several: list[Lot], stars: int) -> None:
    taken = take(several, stars)
    assert sum(t.stars for t in taken) == min(stars, sum(one.left for one in several))
    by_id = {one.id: one for one in several}
    for t in taken[:-1]:
        assert t.stars == by_id[t.lot_id].left
    assert [t.offset for t in taken] == [
        sum(before.stars for before in taken[:n]) for n in range(len(taken))
    ]


@given(lots, st.integers(0, 6000))
def test_most_stars_within_a_sum_are_the_most(one: Lot, cash: int) -> None:
    stars = most_stars_within(one, cash)
    assert 0 <= stars <= one.left
    assert released(one, stars) - released(one, 0) <= cash
    if stars < one.left:
        assert released(one, stars + 1) - released(one, 0) > cash


@given(
    st.integers(0, 10**9),
    st.lists(st.integers(0, 100), min_size=1, max_size=12).filter(any),
    st.integers(0, 10**20),
)
def test_shares_sum_to_the_whole(total: int, weights: list[int], turn: int) -> None:
    shares = split(total, weights, turn=turn)
    assert sum(shares) == total
    whole = sum(weights)
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share - total * weight / whole) < 1
        assert share >= 0
        assert weight or not share


@given(st.integers(0, 30), st.lists(st.integers(0, 9), min_size=1, max_size=8).filter(any))
def test_over_all_turns_each_comes_to_their_weight(total: int, weights: list[int]) -> None:
    turns = [split(total, weights, turn=turn) for turn in range(sum(weights))]
    assert [sum(shares) for shares in zip(*turns, strict=True)] == [total * w for w in weights]


@given(st.integers(0, 10**6), st.lists(st.integers(1, 50), min_size=1, max_size=10))
def test_parts_sum_to_the_whole(total: int, sizes: list[int]) -> None:
    whole, at, parts = sum(sizes), 0, []
    for size in sizes:
        parts.append(part(total, begin=at, end=at + size, whole=whole))
        at += size
    assert sum(parts) == total


@pytest.mark.parametrize(
    ("total", "weights", "shares"),
    [(100, [1], (100,)), (100, [1, 1, 1], (33, 33, 34)), (1, [1, 1], (0, 1)), (0, [2, 1], (0, 0))],
)
def test_shares(total: int, weights: list[int], shares: tuple[int, ...]) -> None:
    assert split(total, weights) == shares
