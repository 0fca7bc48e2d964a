"""Arithmetic of lots of Stars (first in, first out) and of shares of a sum; exact, pure functions.

Everything is divided by cumulative floors: a part is the floor at its end less the floor at its
beginning, so that the parts of a whole always sum to the whole.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID


class Lot(NamedTuple):
    """A lot as arithmetic needs it; `cash_minor` is the cash of all `stars`, the gone included."""

    id: UUID
    stars: int
    gone: int
    cash_minor: int
    promotional: bool = False

    @property
    def left(self) -> int:
        return self.stars - self.gone

    def without(self, stars: int) -> "Lot":
        """The lot after so many more Stars are gone."""
        return Lot(self.id, self.stars, self.gone + stars, self.cash_minor, self.promotional)

    @property
    def cash_left_minor(self) -> int:
        return self.cash_minor - released(self, 0)


class Taken(NamedTuple):
    """Stars that leave a lot (negative: come back) and the cash that goes with them."""

    lot_id: UUID
    offset: int
    """How many Stars of the same transaction come before these."""

    stars: int
    cash_minor: int
    promotional: bool = False

    def undone(self) -> "Taken":
        return Taken(self.lot_id, self.offset, -self.stars, -self.cash_minor, self.promotional)


def released(lot: Lot, stars: int) -> int:
    """All cash that has left the lot once `stars` more are gone: floor(cash * gone / stars)."""
    return lot.cash_minor * (lot.gone + stars) // lot.stars


def take_from(lot: Lot, stars: int, *, offset: int = 0) -> Taken:
    cash = released(lot, stars) - released(lot, 0)
    return Taken(lot.id, offset, stars, cash, lot.promotional)


def take(lots: Iterable[Lot], stars: int) -> tuple[Taken, ...]:
    """Takes `stars` out of `lots`, from the first on; fewer if there are not enough."""
    taken: list[Taken] = []
    offset = 0
    for lot in lots:
        count = min(lot.left, stars - offset)
        if count > 0:
            taken.append(take_from(lot, count, offset=offset))
            offset += count
    return tuple(taken)


def most_stars_within(lot: Lot, cash_minor: int) -> int:
    """How many of the Stars left can be taken without releasing more than `cash_minor`."""
    if lot.cash_left_minor <= cash_minor:
        return lot.left
    # The greatest n with floor(cash * (gone + n) / stars) <= limit.
    limit = released(lot, 0) + cash_minor
    return ((limit + 1) * lot.stars - 1) // lot.cash_minor - lot.gone


def split(total: int, weights: Sequence[int], *, turn: int = 0) -> tuple[int, ...]:
    """`total` in proportion to `weights` (none negative, not all 0).

    `turn`, any number, says where the floors begin, and so who has what does not divide: over sums
    of many turns each comes to their weight, which small ones alone would never bring them to.
    """
    whole = sum(weights)
    shares: list[int] = []
    before = turn % whole
    for weight in weights:
        after = before + total * weight
        shares.append(after // whole - before // whole)
        before = after
    return tuple(shares)


def part(total: int, *, begin: int, end: int, whole: int) -> int:
    """The part of `total` that falls on the units from `begin` to `end` of `whole`."""
    return total * end // whole - total * begin // whole
