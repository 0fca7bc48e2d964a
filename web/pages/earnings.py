"""A creator's pages: earnings by their state, rooms and minutes, the way to being paid, months."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from core.auth.dependencies import VisitorDep
from core.errors import NotFound
from core.http import ServicesDep, SessionDep
from payouts import onboarding
from payouts.cashier import Cashier
from payouts.clock import money_now
from payouts.earned import (
    Minute,
    earned_by_minute,
    months_of,
    room_earned,
    rooms_earned,
    titles_of,
)
from payouts.earnings_api import earner_of
from payouts.leaving import left_behind
from payouts.overview import overview
from payouts.statements import rows_of, statement
from web.pages.render import page
from web.pages.requirements import wanted
from web.pages.route import PageRoute

router = APIRouter(route_class=PageRoute)

ROOMS: Final = 20
CHART_WIDTH, CHART_HEIGHT = 720, 140
MINUTE_MS: Final = 60_000


@router.get("/earnings")
async def earnings(
    request: Request,
    services: ServicesDep,
    session: SessionDep,
    me: VisitorDep,
    before: UUID | None = None,
    again: bool = False,
) -> Response:
    """Where Stripe's onboarding leads back to; `again`: its link had expired."""
    earner = await earner_of(services, me)
    settings = services.settings
    account = onboarding.shown(await onboarding.account_of(session, me))
    rooms = await rooms_earned(session, earner, before=before, limit=ROOMS + 1)
    return page(
        request,
        "creators/earnings.html",
        me=me,
        earned=await overview(session, earner, minimum_minor=settings.sweep_minimum_minor),
        maturity_days=settings.maturity_days,
        account=account,
        due=wanted(account.due),
        again=again,
        paid_here=_cashier(request) is not None,
        test_money=_is_test_money(request),
        rooms=rooms[:ROOMS],
        older=rooms[ROOMS - 1].room_id if len(rooms) > ROOMS else None,
        months=await months_of(session, earner, now=await money_now(session)),
        lost=await left_behind(session, earner),
    )


def _cashier(request: Request) -> Cashier | None:
    return getattr(request.app.state, "cashier", None)


def _is_test_money(request: Request) -> bool:
    cashier = _cashier(request)
    return cashier is not None and not cashier.gateway.livemode


@router.get("/earnings/rooms/{room_id}")
async def room(
    request: Request, services: ServicesDep, session: SessionDep, me: VisitorDep, room_id: UUID
) -> Response:
    earner = await earner_of(services, me)
    found = await room_earned(session, earner, room_id)
    if found is None:
        raise NotFound
    minutes = await earned_by_minute(session, earner, room_id=room_id)
    pinned = [each for each in minutes if each.minute >= 0]
    return page(
        request,
        "creators/room.html",
        me=me,
        room=found,
        currency=earner.currency,
        minutes=pinned,
        elsewhere=next((each for each in minutes if each.minute < 0), None),
        bars=bars(pinned, found.duration_ms),
        end_ms=charted(pinned, found.duration_ms) * MINUTE_MS,
        width=CHART_WIDTH,
        height=CHART_HEIGHT,
    )


@dataclass(frozen=True, slots=True)
class Bar:
    """In the units of the chart, from its upper left corner."""

    x: float
    y: float
    width: float
    height: float
    minute: Minute


def charted(minutes: Sequence[Minute], duration_ms: int | None) -> int:
    """How many minutes the chart has, whole ones."""
    return max(-(-(duration_ms or 0) // MINUTE_MS), *(each.minute + 1 for each in minutes), 1)


def bars(minutes: Sequence[Minute], duration_ms: int | None) -> list[Bar]:
    """One for each minute, over the room's whole length; the highest fills the chart."""
    if not minutes:
        return []
    count = charted(minutes, duration_ms)
    top = max(each.earned_minor for each in minutes) or 1
    step = CHART_WIDTH / count
    return [_bar(each, step, each.earned_minor / top) for each in minutes]


def _bar(minute: Minute, step: float, share: float) -> Bar:
    height = max(share * CHART_HEIGHT, 2.0)
    width = max(min(step * 0.8, 40.0), 1.5)
    x = minute.minute * step + (step - width) / 2
    return Bar(round(x, 2), round(CHART_HEIGHT - height, 2), round(width, 2), height, minute)


@router.get("/earnings/statements/{month}")
async def month(
    request: Request, services: ServicesDep, session: SessionDep, me: VisitorDep, month: str
) -> Response:
    earner = await earner_of(services, me)
    found = await statement(
        session,
        platform_id=earner.platform_id,
        creator_id=earner.creator_id,
        currency=earner.currency,
        month=month,
    )
    return page(
        request,
        "creators/statement.html",
        me=me,
        found=found,
        test_money=_is_test_money(request),
        seller=services.settings.seller_lines,
        rows=rows_of(found),
        titles=await titles_of(session, [room_id for room_id, _ in found.rooms]),
    )
