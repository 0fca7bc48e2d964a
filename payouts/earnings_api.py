"""HTTP: what a creator earns, where it came from, a statement for each month, and leaving."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response, StreamingResponse

from core.auth.browser import CrossSite, clear_cookie
from core.auth.dependencies import CallerDep
from core.auth.documented import problems
from core.auth.rights import AccountNeeded, require_user
from core.errors import NotFound, TooManyRequests, Unauthenticated
from core.http import ServicesDep, SessionDep
from core.ratelimit import rate_limit
from payouts.api import READ
from payouts.clock import money_now
from payouts.earned import Earner, earned_by_minute, months_of, room_earned, rooms_earned
from payouts.earnings_schemas import (
    EarningsOut,
    Farewell,
    MinuteOut,
    MinutesOut,
    MonthsOut,
    RoomEarnedOut,
    RoomsEarned,
    StatementOut,
)
from payouts.leaving import SomethingLeft, StillLive, close_account
from payouts.overview import overview
from payouts.statement_entries import entries_csv
from payouts.statements import NoMonth, as_csv, month_bounds, statement

router = APIRouter(
    prefix="/v1/creators/me",
    tags=["creators"],
    dependencies=[Depends(rate_limit(READ, per_credential=True))],
)

REFUSED = (Unauthenticated, AccountNeeded, TooManyRequests)


def _csv(*lines: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {"text/csv": {"example": "\r\n".join((*lines, ""))}}}}


STATEMENT: Final = _csv(
    "statement,count,owed_USD,held_USD",
    "Opening,,0.00,0.00",
    "Tips,12,12.50,0.00",
    "Closing,,12.50,0.00",
    "of tips: room 0197f3a0-0000-7000-8000-000000000004,,12.50,",
)
ENTRIES: Final = _csv(
    "at,transaction,kind,account,amount,currency,room,room_ms,at_stripe",
    "2026-11-22T10:01:03.400000+00:00,0197f3a0-0000-7000-8000-000000000006,tip,owed,1.00,USD,"
    "0197f3a0-0000-7000-8000-000000000004,63400,",
    "2026-12-01T08:00:12.000000+00:00,0197f3a0-0000-7000-8000-000000000007,transfer_reversed,owed,"
    "5.00,USD,,,2026-11-30T22:41:09+00:00",
)


class NothingEarned(NotFound):
    code = "nothing_earned"
    title = "No tips of this room were yours"


async def earner_of(services: ServicesDep, principal: CallerDep) -> Earner:
    """The caller. Raises Unauthenticated, AccountNeeded."""
    user_id = require_user(principal)
    assert principal.platform_id is not None  # noqa: S101 - every user is of a platform
    return Earner(principal.platform_id, user_id, services.settings.settlement_currency)


EarnerDep = Annotated[Earner, Depends(earner_of)]


@router.get("/earnings", summary="What you earned", responses=problems(*REFUSED))
async def see_earnings(
    session: SessionDep, services: ServicesDep, earner: EarnerDep
) -> EarningsOut:
    """By state, and the days on which pending earnings mature."""
    return await overview(session, earner, minimum_minor=services.settings.sweep_minimum_minor)


@router.get("/earnings/rooms", summary="What your rooms earned", responses=problems(*REFUSED))
async def see_rooms(
    session: SessionDep,
    earner: EarnerDep,
    before: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> RoomsEarned:
    """Your part of the tips to each room, the newest room first."""
    found = await rooms_earned(session, earner, before=before, limit=limit + 1)
    items = [RoomEarnedOut.model_validate(each) for each in found[:limit]]
    last = items[-1].room_id if len(found) > limit else None
    return RoomsEarned(currency=earner.currency, items=items, next=last)


@router.get(
    "/earnings/rooms/{room_id}",
    summary="What each minute of a room earned",
    responses=problems(*REFUSED, NothingEarned),
)
async def see_minutes(room_id: UUID, session: SessionDep, earner: EarnerDep) -> MinutesOut:
    room = await room_earned(session, earner, room_id)
    if room is None:
        raise NothingEarned
    found = await earned_by_minute(session, earner, room_id=room_id)
    return MinutesOut(
        currency=earner.currency,
        room=RoomEarnedOut.model_validate(room),
        minutes=[MinuteOut.model_validate(each) for each in found],
    )


@router.get("/statements", summary="Your statements", responses=problems(*REFUSED))
async def list_statements(session: SessionDep, earner: EarnerDep) -> MonthsOut:
    return MonthsOut(months=await months_of(session, earner, now=await money_now(session)))


@router.get(
    "/statements/{month}.csv",
    summary="A month as CSV",
    response_class=Response,
    responses=problems(*REFUSED, NoMonth) | STATEMENT,
)
async def statement_csv(month: str, session: SessionDep, earner: EarnerDep) -> Response:
    """Amounts in units of the currency, with a point: `12.50`."""
    found = await statement(
        session,
        platform_id=earner.platform_id,
        creator_id=earner.creator_id,
        currency=earner.currency,
        month=month,
    )
    return Response(as_csv(found), headers=_saved_as(f"statement-{month}"), media_type="text/csv")


@router.get(
    "/statements/{month}/entries.csv",
    summary="The entries of a month",
    response_class=StreamingResponse,
    responses=problems(*REFUSED, NoMonth) | ENTRIES,
)
async def statement_entries(
    month: str, services: ServicesDep, earner: EarnerDep
) -> StreamingResponse:
    """Every ledger entry behind the statement: summed by `kind` and `account` they are its lines.
    `at` is when an entry was booked. What we learn late is booked late, so that a month that is
    over never changes; `at_stripe` says when it happened."""
    month_bounds(month)

    lines = entries_csv(services.database, earner, month)
    headers = _saved_as(f"entries-{month}")
    return StreamingResponse(lines, headers=headers, media_type="text/csv")


@router.get("/statements/{month}", summary="A month", responses=problems(*REFUSED, NoMonth))
async def see_statement(month: str, session: SessionDep, earner: EarnerDep) -> StatementOut:
    """Of a month (`YYYY-MM`, UTC): what was owed at its beginning and its end, and every kind of
    movement between. The current month has the figures so far; one that is over is `final`."""
    found = await statement(
        session,
        platform_id=earner.platform_id,
        creator_id=earner.creator_id,
        currency=earner.currency,
        month=month,
    )
    return StatementOut.of(found)


@router.post(
    "/leave",
    status_code=204,
    summary="Close your account",
    responses=problems(*REFUSED, CrossSite, StillLive, SomethingLeft),
)
async def leave(
    wanted: Farewell,
    response: Response,
    services: ServicesDep,
    session: SessionDep,
    earner: EarnerDep,
) -> None:
    """For good: nobody can sign in as you any more, and your name is removed from your rooms, which
    stay. Your earnings are transferred as they mature, however small they are."""
    await close_account(session, earner, give_up=wanted.give_up)
    response.headers.append("Set-Cookie", clear_cookie(services.settings))


def _saved_as(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="encore-{name}.csv"'}
