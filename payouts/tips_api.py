"""HTTP: tips, live and on the replay; goals, supporters, thanks, and what one may spend."""

from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from core.auth.browser import CrossSite
from core.auth.dependencies import CallerDep
from core.auth.documented import problems
from core.auth.principal import Principal, Scope
from core.auth.rights import AccountNeeded, ScopeMissing, limit_to_scope, require_user
from core.buckets import Limit
from core.db import release
from core.errors import Forbidden, NotFound, TooManyRequests, Unauthenticated
from core.http import ServicesDep, SessionDep
from core.ratelimit import rate_limit
from payouts import goals, limits, supporters, thanks, tip_lists, tips
from payouts.api import PersonDep
from payouts.clock import money_now
from payouts.limits import SpendingLimitReached, caps_of
from payouts.spending import StarsMissing, WalletFrozen
from payouts.statements import NoMonth, month_bounds
from payouts.supporter_cache import SupporterCache
from payouts.thanks import TipUnknown
from payouts.tiers import MessageTooLong
from payouts.tip_jar import TipJarDep
from payouts.tip_schemas import (
    GoalOut,
    LimitsOut,
    MyTipPage,
    NewGoal,
    NewTip,
    OwnLimits,
    Place,
    RoomGoalOut,
    SupporterList,
    TierList,
    TipOut,
    TipPage,
)
from payouts.tip_wishes import TipWish
from payouts.tips import NobodyToPay, TipDiffers, TipToOneself
from replay.recordings import NotRecorded
from rooms.access import Action, Removed, RoomNotLive
from rooms.models import Room
from rooms.queries import room_for

router = APIRouter(prefix="/v1")

TIP: Final = Limit("tip", 60, timedelta(minutes=1), local=True)
READ: Final = Limit("tips-read", 600, timedelta(minutes=1), local=True)
CHANGE: Final = Limit("tips-change", 120, timedelta(minutes=1), lease=5)

READING = [Depends(rate_limit(READ, per_credential=True))]
CHANGING = [Depends(rate_limit(CHANGE, per_credential=True))]
REFUSED = (Unauthenticated, Forbidden, NotFound, RoomNotLive, CrossSite, TooManyRequests)
HEARING = (Unauthenticated, Forbidden, ScopeMissing, NotFound, RoomNotLive, TooManyRequests)
Most = Annotated[int, Query(ge=1, le=100)]

_supporter_cache = SupporterCache()


async def _tip_rate(request: Request, services: ServicesDep) -> None:
    limit = replace(TIP, burst=services.settings.tips_per_minute)
    await rate_limit(limit, per_credential=True)(request, services)


@router.get("/stars/tiers", tags=["tips"], summary="What a tip's Stars buy")
async def tiers() -> TierList:
    """By its Stars: how long the message may be, and in which color and how long it stands out."""
    return TierList.all()


@router.post(
    "/rooms/{room_id}/tips",
    status_code=201,
    tags=["tips"],
    summary="Tip a room",
    dependencies=[Depends(_tip_rate)],
    responses=problems(
        *REFUSED,
        AccountNeeded,
        Removed,
        TipToOneself,
        NobodyToPay,
        NotRecorded,
        StarsMissing,
        WalletFrozen,
        SpendingLimitReached,
        TipDiffers,
        MessageTooLong,
    ),
)
async def send(
    room_id: UUID,
    wanted: NewTip,
    jar: TipJarDep,
    session: SessionDep,
    principal: PersonDep,
) -> TipOut:
    """Live or on the replay, by whoever may listen and has an account. It is pinned to what was
    being heard: to `heard_at` or `media_ms`, moved to the nearest moment on the record; without
    either to now, or to the room's end.

    The room is told at once by the event `tip.sent`, at the tip's `room_ms`. Its data: `tip_id`,
    `stars`, `message`, `anonymous`, `user_id`, `name`, `tier` {`name`, `color`, `seconds`}, `live`,
    and `goal`: null, or {`goal_id`, `title`, `target_stars`, `raised_stars`, `reached`}. With the
    tip that reaches the goal comes `goal.reached`, with the same of the goal.

    What it earns goes to the host and the speakers who were on stage at that moment: each of n
    speakers has the share that they agreed to, divided by n, the host has the rest. Whoever tips
    is left out of it, and refused (`tip_to_oneself`) where nobody else is left. So are those who
    have left Encore since: where nobody else was there, nobody can be tipped (`nobody_to_pay`).

    Sent again with the same `client_key` and body it is the same tip; with another body it is
    refused (`tip_differs`)."""
    wish = TipWish(**wanted.model_dump())
    asked = await tips.ask_tip(session, principal=principal, room_id=room_id, wish=wish)
    await release(session)
    tip = (await jar.send(asked)).row
    return TipOut.of(tip_lists.ShownTip(tip, principal.display_name), principal.user_id)


async def _heard(session: SessionDep, principal: Principal, room_id: UUID) -> Room:
    """The room, for whoever may listen to it: they may see its tips."""
    limit_to_scope(principal, Scope.RECORDINGS_READ)
    room, _ = await room_for(session, principal, room_id, Action.LISTEN)
    return room


@router.get(
    "/rooms/{room_id}/tips",
    tags=["tips"],
    summary="A room's tips",
    dependencies=READING,
    responses=problems(*HEARING),
)
async def of_room(
    room_id: UUID,
    session: SessionDep,
    principal: CallerDep,
    after: Place | None = None,
    limit: Most = 100,
) -> TipPage:
    """In the order of the room's clock, whether sent live or on the replay, each with the sentence
    that was being said. An API key needs `recordings:read`."""
    room = await _heard(session, principal, room_id)
    found = await tip_lists.tips_of_room(session, room, after=_place(after), limit=limit + 1)
    items = [TipOut.of(each, principal.user_id) for each in found[:limit]]
    total = await tip_lists.total_stars(session, room)
    more = f"{items[-1].room_ms}_{items[-1].id}" if len(found) > limit else None
    return TipPage(items=items, total_stars=total, next=more)


def _place(after: str | None) -> tuple[int, UUID] | None:
    if after is None:
        return None
    room_ms, _, tip_id = after.partition("_")
    return int(room_ms), UUID(tip_id)


@router.get(
    "/tips",
    tags=["tips"],
    summary="The tips you sent",
    dependencies=READING,
    responses=problems(*REFUSED),
)
async def mine(
    session: SessionDep,
    principal: PersonDep,
    before: UUID | None = None,
    limit: Most = 50,
) -> MyTipPage:
    """Newest first, including anonymous ones; without sentences."""
    user_id = require_user(principal)
    found = await tip_lists.tips_of_payer(session, user_id, before=before, limit=limit + 1)
    items = [TipOut.of(each, user_id) for each in found[:limit]]
    return MyTipPage(items=items, next=items[-1].id if len(found) > limit else None)


@router.post(
    "/rooms/{room_id}/tips/{tip_id}/thanks",
    tags=["tips"],
    summary="Say thanks for a tip",
    dependencies=CHANGING,
    responses=problems(*REFUSED, AccountNeeded, TipUnknown),
)
async def say_thanks(
    room_id: UUID, tip_id: UUID, session: SessionDep, principal: PersonDep
) -> TipOut:
    """By the host. The event `tip.thanked` tells the room, and with it who sent the tip."""
    room, tip = await thanks.thank(session, principal=principal, room_id=room_id, tip_id=tip_id)
    return TipOut.of(await tip_lists.shown(session, room, tip), principal.user_id)


@router.delete(
    "/rooms/{room_id}/tips/{tip_id}/message",
    status_code=204,
    tags=["tips"],
    summary="Take a tip's message out",
    dependencies=CHANGING,
    responses=problems(*REFUSED, ScopeMissing, TipUnknown),
)
async def hide(room_id: UUID, tip_id: UUID, session: SessionDep, principal: CallerDep) -> None:
    """For hosts and co-hosts, and for good. The Stars stay; the sender still sees the message."""
    await thanks.hide_message(session, principal=principal, room_id=room_id, tip_id=tip_id)


@router.get(
    "/rooms/{room_id}/goal",
    tags=["tips"],
    summary="What a room collects for",
    dependencies=READING,
    responses=problems(Unauthenticated, NotFound),
)
async def goal(room_id: UUID, session: SessionDep, principal: CallerDep) -> RoomGoalOut:
    room, _ = await room_for(session, principal, room_id, Action.SEE)
    return RoomGoalOut.of(await goals.goal_of(session, room))


@router.put(
    "/rooms/{room_id}/goal",
    tags=["tips"],
    summary="Set a room's goal",
    dependencies=CHANGING,
    responses=problems(*REFUSED, ScopeMissing),
)
async def set_goal(
    room_id: UUID, wanted: NewGoal, session: SessionDep, principal: CallerDep
) -> GoalOut:
    """By the host, before, during and after the room: a new one, counted from 0, in place of the
    one before. Tips count towards it live and on the replay; events `goal.set`, `tip.sent` (which
    says how far it is) and `goal.reached`."""
    found = await goals.set_goal(
        session,
        principal=principal,
        room_id=room_id,
        title=wanted.title,
        stars=wanted.target_stars,
    )
    return GoalOut.model_validate(found)


@router.delete(
    "/rooms/{room_id}/goal",
    status_code=204,
    tags=["tips"],
    summary="Close a room's goal",
    dependencies=CHANGING,
    responses=problems(*REFUSED, ScopeMissing),
)
async def close_goal(room_id: UUID, session: SessionDep, principal: CallerDep) -> None:
    await goals.close_goal(session, principal=principal, room_id=room_id)


@router.get(
    "/rooms/{room_id}/supporters",
    tags=["tips"],
    summary="Who gave most in a room",
    dependencies=READING,
    responses=problems(*HEARING),
)
async def supporters_of_room(
    room_id: UUID,
    session: SessionDep,
    principal: CallerDep,
    *,
    present: bool = False,
    limit: Most = 10,
) -> SupporterList:
    """With `present=true`, only those who are in the room now: its front row."""
    room = await _heard(session, principal, room_id)

    async def make() -> supporters.Supporters:
        return await supporters.of_room(session, room, present=present, limit=limit)

    return SupporterList.of(
        await _supporter_cache.of(room, present=present, limit=limit, make=make)
    )


@router.get(
    "/creators/{user_id}/supporters",
    tags=["tips"],
    summary="Who gave a creator most",
    dependencies=READING,
    responses=problems(Unauthenticated, ScopeMissing, NoMonth),
)
async def supporters_of_creator(
    user_id: UUID,
    session: SessionDep,
    principal: CallerDep,
    month: Annotated[str | None, Query(max_length=7, examples=["2026-11"])] = None,
    limit: Most = 10,
) -> SupporterList:
    """In the rooms that the creator hosts and that you may hear and find; of all time, or of a
    `month` (UTC)."""
    limit_to_scope(principal, Scope.RECORDINGS_READ)
    since, until = (None, None) if month is None else month_bounds(month)
    found = await supporters.of_creator(
        session, principal, user_id, since=since, until=until, limit=limit
    )
    return SupporterList.of(found)


@router.get(
    "/wallet/limits",
    tags=["stars"],
    summary="What you may spend",
    responses=problems(*REFUSED, AccountNeeded),
)
async def see_limits(services: ServicesDep, session: SessionDep, principal: PersonDep) -> LimitsOut:
    """For the last hour and the last 24 hours: the limits, your own ones, and what you spent."""
    return await _limits(services, session, principal)


@router.put(
    "/wallet/limits",
    tags=["stars"],
    summary="Spend less",
    dependencies=CHANGING,
    responses=problems(*REFUSED, AccountNeeded),
)
async def set_limits(
    wanted: OwnLimits, services: ServicesDep, session: SessionDep, principal: PersonDep
) -> LimitsOut:
    """Sets your own limits; the limits for everybody still hold."""
    user_id = require_user(principal)
    await limits.set_own_limits(
        session, user_id, hour_stars=wanted.hour_stars, day_stars=wanted.day_stars
    )
    return await _limits(services, session, principal)


async def _limits(services: ServicesDep, session: SessionDep, principal: Principal) -> LimitsOut:
    now = await money_now(session)
    spending = await limits.spending_of(session, require_user(principal), now=now)
    allowed = spending.within(caps_of(services.settings))
    return LimitsOut.of(spending, allowed.hour_stars, allowed.day_stars)
