"""A creator's monthly statement: opening balances, every kind of movement, closing balances.

It is computed from ledger entries alone, so anyone who has these gets the same figures.
"""

import csv
import io
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Invalid
from payouts.accounts import AccountKind
from payouts.amounts import decimal
from payouts.clock import money_now
from payouts.earned import Earner
from payouts.models import EventKind, LedgerAccount, LedgerEntry, LedgerTransaction

_MONTH: Final = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)

UNDER_WAY: Final = timedelta(hours=1)
"""How long after its end a month is not final yet: an entry dated just before the end may still be
committed. What we learn of later is booked when we learn of it, so it never changes the month."""

SAYS: Final = {
    EventKind.TIP: "Tips",
    EventKind.DISPUTE_OPENED: "Put on hold: the buyer's bank disputes the payment",
    EventKind.DISPUTE_WON: "Holds that ended well",
    EventKind.DISPUTE_LOST: "Taken back by the buyer's bank",
    EventKind.TRANSFER_INTENT: "Transfers",
    EventKind.TRANSFER_REFUSED: "Transfers that were refused",
    EventKind.TRANSFER_REVERSED: "Transfers that came back",
    EventKind.CREATOR_DELETED: "Account closed",
}


class NoMonth(Invalid):
    code = "no_month"
    title = "A month is written YYYY-MM"


@dataclass(frozen=True)
class Line:
    """One kind of movement: positive adds to what the creator is owed, or to what is on hold."""

    kind: EventKind
    count: int
    owed_minor: int
    held_minor: int

    @property
    def says(self) -> str:
        return SAYS.get(self.kind, self.kind.value)


@dataclass(frozen=True)
class Statement:
    """`owed` is the balance of the creator's account; `held` is apart from it, held by disputes."""

    creator_id: UUID
    month: str
    currency: str
    final: bool
    """The month is over and cannot change any more."""

    opening_owed_minor: int
    opening_held_minor: int
    lines: tuple[Line, ...]
    rooms: tuple[tuple[UUID | None, int], ...]
    """What the tips of each room earned; None for tips outside of a room."""

    @property
    def closing_owed_minor(self) -> int:
        return self.opening_owed_minor + sum(line.owed_minor for line in self.lines)

    @property
    def closing_held_minor(self) -> int:
        return self.opening_held_minor + sum(line.held_minor for line in self.lines)


def month_bounds(month: str) -> tuple[datetime, datetime]:
    """The first moment of the month `YYYY-MM` (UTC) and that of the next one. Raises NoMonth."""
    found = _MONTH.fullmatch(month)
    if found is None:
        raise NoMonth(f"{month!r} is not a month: write 2026-11.")
    year, number = int(found[1]), int(found[2])
    try:
        begin = datetime(year, number, 1, tzinfo=UTC)
        return begin, datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    except ValueError:
        raise NoMonth(f"{month!r} is not a month of this era.") from None


async def statement(
    session: AsyncSession, *, platform_id: UUID, creator_id: UUID, currency: str, month: str
) -> Statement:
    """Of the month `YYYY-MM` (UTC); all zeros for somebody who never earned. Raises NoMonth."""
    begin, end = month_bounds(month)
    earner = Earner(platform_id, creator_id, currency)
    opening = await _opening(session, earner, begin)
    now = await money_now(session)
    return Statement(
        creator_id=creator_id,
        month=month,
        currency=currency,
        final=now >= end + UNDER_WAY,
        opening_owed_minor=opening.get(AccountKind.CREATOR, 0),
        opening_held_minor=opening.get(AccountKind.CREATOR_HOLD, 0),
        lines=await _lines(session, earner, begin, end),
        rooms=await _rooms(session, earner, begin, end),
    )


_BOTH: Final = (AccountKind.CREATOR, AccountKind.CREATOR_HOLD)
_OWED: Final = -sa.func.sum(LedgerEntry.amount)


async def _opening(
    session: AsyncSession, earner: Earner, begin: datetime
) -> dict[AccountKind, int]:
    rows = await session.execute(
        sa.select(LedgerAccount.kind, _OWED)
        .join(LedgerEntry, LedgerEntry.account_id == LedgerAccount.id)
        .where(earner.accounts(*_BOTH), LedgerEntry.at < begin)
        .group_by(LedgerAccount.kind)
    )
    return {kind: int(owed) for kind, owed in rows}


async def _lines(
    session: AsyncSession, earner: Earner, begin: datetime, end: datetime
) -> tuple[Line, ...]:
    """One line for each kind of transaction; `count` is of transactions, not entries."""

    def of(kind: AccountKind) -> sa.ColumnElement[int]:
        total = sa.func.sum(LedgerEntry.amount).filter(LedgerAccount.kind == kind)
        return sa.func.coalesce(-total, 0)

    count = sa.func.count(sa.distinct(LedgerTransaction.id))
    rows = await session.execute(
        sa.select(
            LedgerTransaction.kind, count, of(AccountKind.CREATOR), of(AccountKind.CREATOR_HOLD)
        )
        .join(LedgerEntry, LedgerEntry.transaction_id == LedgerTransaction.id)
        .join(LedgerAccount, LedgerAccount.id == LedgerEntry.account_id)
        .where(earner.accounts(*_BOTH), LedgerEntry.at >= begin, LedgerEntry.at < end)
        .group_by(LedgerTransaction.kind)
    )
    order = list(EventKind)
    lines = [Line(kind, count, int(owed), int(held)) for kind, count, owed, held in rows]
    return tuple(sorted(lines, key=lambda line: order.index(line.kind)))


async def _rooms(
    session: AsyncSession, earner: Earner, begin: datetime, end: datetime
) -> tuple[tuple[UUID | None, int], ...]:
    rows = await session.execute(
        sa.select(LedgerTransaction.room_id, _OWED)
        .join(LedgerEntry, LedgerEntry.transaction_id == LedgerTransaction.id)
        .join(LedgerAccount, LedgerAccount.id == LedgerEntry.account_id)
        .where(
            earner.accounts(AccountKind.CREATOR),
            LedgerTransaction.kind == EventKind.TIP,
            LedgerEntry.at >= begin,
            LedgerEntry.at < end,
        )
        .group_by(LedgerTransaction.room_id)
        .order_by(LedgerTransaction.room_id)
    )
    return tuple((room, int(owed)) for room, owed in rows)


def rows_of(found: Statement) -> list[tuple[str, str, str, str]]:
    """The statement as a table: text, count, owed and held, with the opening and closing rows."""

    def shown(minor: int) -> str:
        return decimal(minor, found.currency)

    return [
        ("Opening", "", shown(found.opening_owed_minor), shown(found.opening_held_minor)),
        *(
            (line.says, str(line.count), shown(line.owed_minor), shown(line.held_minor))
            for line in found.lines
        ),
        ("Closing", "", shown(found.closing_owed_minor), shown(found.closing_held_minor)),
    ]


def as_csv(found: Statement) -> str:
    """RFC 4180. After the closing row come the rooms, which are part of the tips' row."""
    out = io.StringIO()
    write = csv.writer(out)
    write.writerow(("statement", "count", f"owed_{found.currency}", f"held_{found.currency}"))
    write.writerows(rows_of(found))
    for room, owed in found.rooms:
        write.writerow((f"of tips: {_room(room)}", "", decimal(owed, found.currency), ""))
    return out.getvalue()


def _room(room: UUID | None) -> str:
    return f"room {room}" if room else "no room"
