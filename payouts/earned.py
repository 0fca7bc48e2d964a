"""Where a creator's earnings come from, room by room and minute by minute, and when they mature.

What a room brought is told before any dispute: what a bank takes back stands in the statement.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from payouts.accounts import AccountKind
from payouts.claim_models import DisputeHold, DisputeState, LotDispute
from payouts.creators import tips_of
from payouts.models import (
    MOST_MATURITY,
    LedgerAccount,
    LedgerEntry,
    LedgerTransaction,
)
from payouts.stripe_facts import TransferIntent
from rooms.models import Room

_EARNED: Final = -sa.func.sum(LedgerEntry.amount)
_DAY: Final = sa.cast(sa.func.timezone("UTC", LedgerTransaction.matures_at), sa.Date)


@dataclass(frozen=True, slots=True)
class Earner:
    """A creator's part of the books, in the settlement currency."""

    platform_id: UUID
    creator_id: UUID
    currency: str

    @property
    def tips(self) -> sa.FromClause:
        return tips_of(self.platform_id, self.creator_id, self.currency)


@dataclass(frozen=True, slots=True)
class Maturing:
    on: date
    """In UTC; sums of the same day are told together."""

    amount_minor: int


async def maturing(session: AsyncSession, earner: Earner, *, now: datetime) -> list[Maturing]:
    """What is pending, by the days on which it can be transferred; the first day comes first."""
    pending = sa.and_(LedgerEntry.at > now - MOST_MATURITY, LedgerTransaction.matures_at > now)
    rows = await session.execute(
        sa.select(_DAY, _EARNED)
        .select_from(earner.tips)
        .where(pending)
        .group_by(_DAY)
        .order_by(_DAY)
    )
    held = await _held_by_day(session, earner, now)
    days = [Maturing(on, int(earned) - held.get(on, 0)) for on, earned in rows]
    return [each for each in days if each.amount_minor]


async def _held_by_day(session: AsyncSession, earner: Earner, now: datetime) -> dict[date, int]:
    """What disputes hold of tips that have not matured, or have taken of them."""
    rows = await session.execute(
        sa.select(_DAY, sa.func.sum(DisputeHold.amount_minor))
        .join(LotDispute, LotDispute.id == DisputeHold.dispute_id)
        .join(LedgerTransaction, LedgerTransaction.id == DisputeHold.tip_id)
        .where(
            LotDispute.platform_id == earner.platform_id,
            LotDispute.state != DisputeState.WON,
            DisputeHold.creator_id == earner.creator_id,
            DisputeHold.held,
            LedgerTransaction.matures_at > now,
        )
        .group_by(_DAY)
    )
    return {on: int(held) for on, held in rows}


@dataclass(frozen=True, slots=True)
class RoomEarned:
    room_id: UUID
    title: str
    live_at: datetime | None
    duration_ms: int | None
    earned_minor: int
    tips: int


async def rooms_earned(
    session: AsyncSession, earner: Earner, *, before: UUID | None = None, limit: int
) -> list[RoomEarned]:
    """The rooms whose tips brought something, the newest first, from the one before `before` on."""
    rooms = _by_room(earner).order_by(Room.id.desc()).limit(limit)
    if before is not None:
        rooms = rooms.where(Room.id < before)
    return [RoomEarned(*row) for row in await session.execute(rooms)]


async def room_earned(session: AsyncSession, earner: Earner, room_id: UUID) -> RoomEarned | None:
    """None where no tip of the room was theirs, or the room is not there."""
    row = (await session.execute(_by_room(earner).where(Room.id == room_id))).one_or_none()
    return None if row is None else RoomEarned(*row)


def _by_room(earner: Earner) -> sa.Select[UUID, str, datetime | None, int | None, int, int]:
    return (
        sa.select(
            Room.id,
            Room.title,
            Room.live_at,
            Room.duration_ms,
            sa.cast(_EARNED, sa.BigInteger),
            sa.func.count(),
        )
        .select_from(earner.tips)
        .join(Room, Room.id == LedgerTransaction.room_id)
        .group_by(Room.id)
    )


async def titles_of(session: AsyncSession, room_ids: Iterable[UUID | None]) -> dict[UUID, str]:
    """Of rooms where somebody has tipped or earned, who may therefore know them."""
    wanted = [room_id for room_id in room_ids if room_id is not None]
    rows = await session.execute(sa.select(Room.id, Room.title).where(Room.id.in_(wanted)))
    return {row.id: row.title for row in rows}


@dataclass(frozen=True, slots=True)
class Minute:
    minute: int
    """On the room's clock, from 0; -1: tips that are pinned to no second."""

    earned_minor: int
    tips: int


async def earned_by_minute(
    session: AsyncSession, earner: Earner, *, room_id: UUID
) -> Sequence[Minute]:
    """What tips of a room brought, in order; minutes without any are left out."""
    minute = sa.cast(sa.func.coalesce(LedgerTransaction.room_ms // 60_000, -1), sa.Integer)
    rows = await session.execute(
        sa.select(minute, _EARNED, sa.func.count())
        .select_from(earner.tips)
        .where(LedgerTransaction.room_id == room_id)
        .group_by(minute)
        .order_by(minute)
    )
    return [Minute(at, int(earned), tips) for at, earned, tips in rows]


async def arrived(session: AsyncSession, earner: Earner) -> dict[str, int]:
    """What Stripe has paid out to their bank, in minor units by the bank's currency."""
    theirs = sa.select(TransferIntent.destination).where(
        TransferIntent.platform_id == earner.platform_id,
        TransferIntent.creator_id == earner.creator_id,
    )
    rows = await session.execute(
        sa.select(LedgerAccount.currency, sa.func.sum(LedgerEntry.amount))
        .join(LedgerEntry, LedgerEntry.account_id == LedgerAccount.id)
        .where(
            LedgerAccount.platform_id == earner.platform_id,
            LedgerAccount.kind == AccountKind.CREATOR_BANK,
            LedgerAccount.owner.in_(theirs),
        )
        .group_by(LedgerAccount.currency)
    )
    return {currency: int(amount) for currency, amount in rows}


async def months_of(session: AsyncSession, earner: Earner, *, now: datetime) -> list[str]:
    """`YYYY-MM` from that of the first entry to that of the last or of `now`, newest first."""
    at = (
        sa.select(LedgerEntry.at)
        .join(LedgerAccount, LedgerAccount.id == LedgerEntry.account_id)
        .where(
            LedgerAccount.platform_id == earner.platform_id,
            LedgerAccount.kind == AccountKind.CREATOR,
            LedgerAccount.owner == str(earner.creator_id),
            LedgerAccount.currency == earner.currency,
        )
        .limit(1)
    )
    first = await session.scalar(at.order_by(LedgerEntry.id))
    last = await session.scalar(at.order_by(LedgerEntry.id.desc()))
    if first is None or last is None:
        return []
    return _months(min(first, now).astimezone(UTC), max(last, now).astimezone(UTC))


def _months(first: datetime, last: datetime) -> list[str]:
    numbers = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return [f"{number // 12:04}-{number % 12 + 1:02}" for number in reversed(numbers)]
