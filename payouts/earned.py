"""Where a creator's earnings come from, room by room and minute by minute, and when they mature.

What a room earned does not change with disputes: what banks take back is in the statements.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from payouts.accounts import AccountKind
from payouts.claim_models import DisputeHold
from payouts.creators import holds_of, tip_is_pending, tips_of
from payouts.models import LedgerAccount, LedgerEntry, LedgerTransaction
from payouts.stripe_facts import TransferIntent
from rooms.models import Room

_EARNED: Final = -sa.func.sum(LedgerEntry.amount)
_DAY: Final = sa.cast(sa.func.timezone("UTC", LedgerTransaction.matures_at), sa.Date)


@dataclass(frozen=True, slots=True)
class Earner:
    """A creator's part of one platform's books, in the settlement currency."""

    platform_id: UUID
    creator_id: UUID
    currency: str

    @property
    def tips(self) -> sa.FromClause:
        return tips_of(self.platform_id, self.creator_id, self.currency)

    def accounts(self, *kinds: AccountKind) -> sa.ColumnElement[bool]:
        """Of `LedgerAccount`: it is theirs, and of one of these kinds."""
        return sa.and_(
            LedgerAccount.platform_id == self.platform_id,
            LedgerAccount.kind.in_(kinds),
            LedgerAccount.owner == str(self.creator_id),
            LedgerAccount.currency == self.currency,
        )


@dataclass(frozen=True, slots=True)
class Maturing:
    on: date
    """In UTC."""

    amount_minor: int


async def maturing(session: AsyncSession, earner: Earner, *, now: datetime) -> list[Maturing]:
    """What is pending, summed by the day on which it matures, in order."""
    rows = await session.execute(
        sa.select(_DAY, _EARNED)
        .select_from(earner.tips)
        .where(tip_is_pending(now))
        .group_by(_DAY)
        .order_by(_DAY)
    )
    held = await _held_by_day(session, earner, now)
    days = [Maturing(on, int(earned) - held.get(on, 0)) for on, earned in rows]
    return [each for each in days if each.amount_minor]


async def _held_by_day(session: AsyncSession, earner: Earner, now: datetime) -> dict[date, int]:
    """What disputes hold or have taken of tips that have not matured."""
    rows = await session.execute(
        sa.select(_DAY, sa.func.sum(DisputeHold.amount_minor))
        .select_from(holds_of(earner.platform_id, earner.creator_id))
        .where(LedgerTransaction.matures_at > now)
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
    """The rooms in whose tips they shared, newest first; only those before the room `before`."""
    rooms = _by_room(earner).order_by(Room.id.desc()).limit(limit)
    if before is not None:
        rooms = rooms.where(Room.id < before)
    return [RoomEarned(*row) for row in await session.execute(rooms)]


async def room_earned(session: AsyncSession, earner: Earner, room_id: UUID) -> RoomEarned | None:
    """None if they shared in none of the room's tips, or the room does not exist."""
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
    """Without an access check: only for somebody who has tipped or earned in these rooms."""
    wanted = [room_id for room_id in room_ids if room_id is not None]
    rows = await session.execute(sa.select(Room.id, Room.title).where(Room.id.in_(wanted)))
    return {row.id: row.title for row in rows}


@dataclass(frozen=True, slots=True)
class Minute:
    minute: int
    """On the room's clock, from 0; -1 for tips that are pinned to no moment."""

    earned_minor: int
    tips: int


async def earned_by_minute(
    session: AsyncSession, earner: Earner, *, room_id: UUID
) -> Sequence[Minute]:
    """What they earned in each minute of a room, in order; minutes without tips are left out."""
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
    """What Stripe has paid out to their bank, in minor units, by the bank's currency."""
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
    """The months (`YYYY-MM`, UTC) that have a statement, newest first: from that of their first
    entry to that of the last one or of `now`, without a gap."""
    at = (
        sa.select(LedgerEntry.at)
        .join(LedgerAccount, LedgerAccount.id == LedgerEntry.account_id)
        .where(earner.accounts(AccountKind.CREATOR))
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
