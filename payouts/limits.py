"""How many Stars somebody may spend in an hour and in a day: everybody's limits, and one's own."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Conflict
from core.money_settings import MoneySettings
from payouts.tip_models import RoomTip, SpendingLimit

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)


class SpendingLimitReached(Conflict):
    code = "spending_limit_reached"
    title = "This is more than may be spent in so short a time"


@dataclass(frozen=True, slots=True)
class Caps:
    """Most Stars that one person tips within any hour, and any 24 hours."""

    hour_stars: int
    day_stars: int


def caps_of(settings: MoneySettings) -> Caps:
    return Caps(settings.tips_per_hour_stars, settings.tips_per_day_stars)


@dataclass(frozen=True, slots=True)
class Spending:
    """Of one person, at one moment; their own limits are null where they set none."""

    hour_stars: int
    day_stars: int
    own_hour_stars: int | None
    own_day_stars: int | None

    def within(self, caps: Caps) -> Caps:
        """What holds for them."""
        own_hour, own_day = self.own_hour_stars, self.own_day_stars
        return Caps(
            caps.hour_stars if own_hour is None else min(own_hour, caps.hour_stars),
            caps.day_stars if own_day is None else min(own_day, caps.day_stars),
        )


async def spending_of(session: AsyncSession, user_id: UUID, *, now: datetime) -> Spending:
    """Under the lock of their wallet nothing can come in between."""
    hour = sa.func.coalesce(sa.func.sum(RoomTip.stars).filter(RoomTip.at > now - HOUR), 0)
    day = sa.func.coalesce(sa.func.sum(RoomTip.stars), 0)
    own = sa.select(SpendingLimit).where(SpendingLimit.user_id == user_id).subquery()
    query = sa.select(
        hour,
        day,
        sa.select(own.c.hour_stars).scalar_subquery(),
        sa.select(own.c.day_stars).scalar_subquery(),
    ).where(RoomTip.payer_id == user_id, RoomTip.at > now - DAY)
    spent_hour, spent_day, own_hour, own_day = (await session.execute(query)).one()
    return Spending(int(spent_hour), int(spent_day), own_hour, own_day)


def check(spending: Spending, stars: int, caps: Caps) -> None:
    """Raises SpendingLimitReached."""
    allowed = spending.within(caps)
    for period, spent, limit in (
        ("hour", spending.hour_stars, allowed.hour_stars),
        ("day", spending.day_stars, allowed.day_stars),
    ):
        if spent + stars > limit:
            left = max(0, limit - spent)
            raise SpendingLimitReached(
                f"{left} of {limit} Stars are left for this {period}.",
                period=period,
                limit_stars=limit,
                left_stars=left,
            )


async def set_own_limits(
    session: AsyncSession, user_id: UUID, *, hour_stars: int | None, day_stars: int | None
) -> None:
    """Their own; null: as much as everybody may."""
    row = await session.get(SpendingLimit, user_id, with_for_update=True)
    if row is None:
        row = SpendingLimit(user_id=user_id)
        session.add(row)
    row.hour_stars, row.day_stars = hour_stars, day_stars
    await session.flush()
