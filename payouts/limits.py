"""How many Stars somebody may spend in an hour and in a day: everybody's limits, and one's own."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import raw_connection
from core.errors import Conflict
from core.money_settings import MoneySettings
from payouts.amounts import stars_said
from payouts.tip_models import SpendingLimit

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
_SPENT: Final = "select * from tip_spending($1, $2, $3)"


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


class Spending(NamedTuple):
    """Of one person, at one moment; their own limits are null where they set none."""

    hour_stars: int
    day_stars: int
    own_hour_stars: int | None
    own_day_stars: int | None
    ever_stars: int
    latest: datetime | None
    """When their last tip was."""

    def after(self, stars: int, at: datetime) -> "Spending":
        hour, day, ever = (
            spent + stars for spent in (self.hour_stars, self.day_stars, self.ever_stars)
        )
        return Spending(hour, day, self.own_hour_stars, self.own_day_stars, ever, at)

    def within(self, caps: Caps) -> Caps:
        """What holds for them."""
        own_hour, own_day = self.own_hour_stars, self.own_day_stars
        return Caps(
            caps.hour_stars if own_hour is None else min(own_hour, caps.hour_stars),
            caps.day_stars if own_day is None else min(own_day, caps.day_stars),
        )


async def spendings_of(
    raw: asyncpg.Connection, user_ids: Iterable[UUID], *, now: datetime
) -> dict[UUID, Spending]:
    """Under the locks of their wallets nothing can come in between."""
    return spendings(await raw.fetch(_SPENT, list(user_ids), *since(now)))


def since(now: datetime) -> tuple[datetime, datetime]:
    """From when on Stars count: in an hour, in a day."""
    return now - HOUR, now - DAY


def spendings(rows: Iterable[Sequence[Any]]) -> dict[UUID, Spending]:
    """By who spent: `rows` are those of `tip_spending`."""
    return {user_id: Spending(*spent) for user_id, *spent in rows}


async def spending_of(session: AsyncSession, user_id: UUID, *, now: datetime) -> Spending:
    spent = await spendings_of(await raw_connection(session), [user_id], now=now)
    return spent[user_id]


def check(spending: Spending, stars: int, caps: Caps) -> None:
    """Raises SpendingLimitReached."""
    allowed = spending.within(caps)
    for period, spent, limit, most in (
        ("hour", spending.hour_stars, allowed.hour_stars, caps.hour_stars),
        ("day", spending.day_stars, allowed.day_stars, caps.day_stars),
    ):
        if spent + stars > limit:
            left = max(0, limit - spent)
            own = " You set this limit: your wallet changes it." if limit < most else ""
            raise SpendingLimitReached(
                f"{_left(left, limit, period)}{own}",
                period=period,
                limit_stars=limit,
                left_stars=left,
            )


def _left(left: int, limit: int, period: str) -> str:
    most = f"{stars_said(limit)} for this {period}"
    if not limit:
        return f"The limit is {most}."
    if not left:
        return f"The limit of {most} is used up: tip later."
    return f"You have {left:,} left of {most}: tip fewer, or later."


async def set_own_limits(
    session: AsyncSession, user_id: UUID, *, hour_stars: int | None, day_stars: int | None
) -> None:
    """Their own; null: as much as everybody may."""
    own = {"hour_stars": hour_stars, "day_stars": day_stars}
    made = insert(SpendingLimit).values(user_id=user_id, **own)
    await session.execute(
        made.on_conflict_do_update(
            index_elements=[SpendingLimit.user_id], set_={**own, "set_at": sa.func.now()}
        )
    )
