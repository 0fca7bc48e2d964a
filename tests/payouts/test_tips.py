"""Tips against PostgreSQL: booked, pinned, told and counted in one transaction, once."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Kind, Principal
from core.auth.rights import AccountNeeded
from core.db import Database
from core.errors import NotFound, Unauthenticated
from payouts import goals, ledger
from payouts.clock import money_now
from payouts.limits import Caps, SpendingLimitReached, set_own_limits, spending_of
from payouts.models import LedgerAccount, LedgerTransaction
from payouts.spending import StarsMissing, WalletFrozen
from payouts.tip_models import RoomGoal, RoomTip
from payouts.tips import TipDiffers, TipToOneself
from replay.recordings import NotRecorded
from rooms.access import Removed, RoomNotLive
from rooms.lifecycle import end_room
from rooms.models import RoomEvent
from rooms.moderation import remove_participant
from rooms.participation import join_room, leave_room
from tests.payouts.tills import TERMS, on_our_clock
from tests.payouts.tipping import AGE, Hall, at_once, make_hall

KEY = "a-key-of-mine"


@pytest.fixture
async def hall(session: AsyncSession) -> Hall:
    await on_our_clock(session)
    return await make_hall(session)


async def last_event(hall: Hall) -> RoomEvent:
    query = sa.select(RoomEvent).where(RoomEvent.room_id == hall.room.id)
    event = await hall.session.scalar(query.order_by(RoomEvent.seq.desc()).limit(1))
    assert event is not None
    return event


async def test_a_tip_is_booked_pinned_and_told(hall: Hall) -> None:
    fan = await hall.fan(name="Ada")
    assert hall.room.live_at is not None
    heard_at = hall.room.live_at + timedelta(seconds=61.25)
    tip = await hall.tip(fan, 100, message=" well\nsaid ", heard_at=heard_at)
    assert (tip.room_ms, tip.message, tip.live) == (61_250, "well said", True)
    assert await hall.earned(hall.host) == [100]
    booked = await hall.session.get_one(LedgerTransaction, tip.id)
    assert (booked.room_id, booked.room_ms) == (hall.room.id, 61_250)
    event = await last_event(hall)
    assert (event.kind, event.room_ms, event.actor_id) == ("tip.sent", 61_250, fan.user_id)
    assert event.data == {
        "tip_id": str(tip.id),
        "stars": 100,
        "message": "well said",
        "anonymous": False,
        "user_id": str(fan.user_id),
        "name": "Ada",
        "tier": {"name": "blaze", "color": "#2e7d32", "seconds": 30},
        "live": True,
        "goal": None,
    }
    assert await hall.broken() == []


async def test_of_who_is_anonymous_the_room_is_told_nothing(hall: Hall) -> None:
    fan = await hall.fan(name="Ada")
    await hall.tip(fan, anonymous=True)
    event = await last_event(hall)
    assert event.actor_id is None
    assert "Ada" not in str(event.data)
    assert str(fan.user_id) not in str(event.data)


async def test_the_same_wish_is_the_same_tip(hall: Hall) -> None:
    fan = await hall.fan(100)
    first = await hall.tip(fan, 100, client_key=KEY, message="once")
    events = hall.room.event_seq
    assert await hall.tip(fan, 100, client_key=KEY, message="once") is first
    for other in ({"message": "twice"}, {"anonymous": True}, {"media_ms": 0}):
        with pytest.raises((TipDiffers, NotRecorded)):
            await hall.tip(fan, 100, **{"client_key": KEY, "message": "once"} | other)
    with pytest.raises(TipDiffers):
        await hall.tip(fan, 99, client_key=KEY, message="once")
    assert hall.room.event_seq == events
    assert await hall.earned(hall.host) == [100]


async def test_a_key_is_its_senders_own(hall: Hall) -> None:
    one, other = await hall.fan(), await hall.fan()
    assert (await hall.tip(one, client_key=KEY)).id != (await hall.tip(other, client_key=KEY)).id


async def test_who_has_sent_it_may_have_come_on_stage_since(hall: Hall) -> None:
    """The host, too, hears of the tip that they sent to others, not of what it would be now."""
    await hall.offer(10_000)
    speaker = await hall.speaker()
    await hall.give(hall.host, 50)
    sent = await hall.tip(hall.host, 50, client_key=KEY)
    assert await hall.earned(hall.host, speaker) == [0, 50]
    await leave_room(hall.session, principal=speaker, room_id=hall.room.id)
    assert await hall.tip(hall.host, 50, client_key=KEY) is sent
    with pytest.raises(TipToOneself):
        await hall.tip(hall.host, 50)


async def test_tips_of_a_moment_are_shared_by_its_stage(hall: Hall) -> None:
    """Live and a year later alike; what was agreed to stays, whatever is offered since."""
    fan = await hall.fan(1_000)
    await hall.offer(6_000)
    early = await hall.speaker("Early")
    await hall.offer(1_000)
    late = await hall.speaker("Late")
    assert hall.room.live_at is not None
    await hall.tip(fan, 100, heard_at=hall.room.live_at + AGE / 2)
    assert await hall.earned(hall.host, early, late) == [100, 0, 0]
    tip = await hall.tip(fan, 100)
    assert await hall.earned(hall.host, early, late) == [100 + 65, 30, 5]
    both = hall.room.live_at + timedelta(milliseconds=tip.room_ms)
    await leave_room(hall.session, principal=early, room_id=hall.room.id)
    await hall.tip(fan, 100)
    assert await hall.earned(hall.host, early, late) == [165 + 90, 30, 15]
    await end_room(hall.session, principal=hall.host, room_id=hall.room.id)
    replayed = await hall.tip(fan, 100, heard_at=both)
    assert (replayed.live, replayed.room_ms) == (False, tip.room_ms)
    assert await hall.earned(hall.host, early, late) == [255 + 65, 60, 20]
    assert (await last_event(hall)).room_ms == tip.room_ms
    assert await hall.broken() == []


async def test_a_speaker_tips_the_others(hall: Hall) -> None:
    await hall.offer(5_000)
    speaker = await hall.speaker(stars=100)
    other = await hall.speaker("Other")
    await hall.tip(speaker, 100)
    assert await hall.earned(hall.host, speaker, other) == [50, 0, 50]


async def test_who_may_tip(hall: Hall) -> None:
    """Who may listen and has an account; a removed person writes nothing here any more."""
    room, fan = hall.room, await hall.fan()
    for caller, refusal in (
        (Principal(platform_id=room.platform_id), Unauthenticated),
        (hall.house.key, AccountNeeded),
        (
            Principal(Kind.ROOM_TOKEN, room.platform_id, fan.user_id, room_id=room.id),
            AccountNeeded,
        ),
    ):
        with pytest.raises(refusal):
            await hall.tip(caller)
    _, place = await join_room(hall.session, principal=fan, room_id=room.id)
    await remove_participant(
        hall.session, principal=hall.host, room_id=room.id, participant_id=place.id
    )
    with pytest.raises(Removed):
        await hall.tip(fan)
    members = Hall(hall.house, await hall.house.group_room())
    with pytest.raises(NotFound):
        await members.tip(fan)
    planned = Hall(hall.house, await hall.house.room())
    with pytest.raises(RoomNotLive):
        await planned.tip(fan)


async def test_a_frozen_wallet_and_an_empty_one(hall: Hall) -> None:
    fan = await hall.fan(10)
    with pytest.raises(StarsMissing):
        await hall.tip(fan, 11)
    await hall.session.execute(
        sa.update(LedgerAccount)
        .where(LedgerAccount.owner == str(fan.user_id))
        .values(open_disputes=1)
    )
    with pytest.raises(WalletFrozen):
        await hall.tip(fan, 1)


async def test_limits_of_an_hour_and_of_a_day(hall: Hall) -> None:
    fan, caps = await hall.fan(1_000), Caps(100, 150)
    assert fan.user_id is not None
    first = await hall.tip(fan, 100, caps=caps)
    with pytest.raises(SpendingLimitReached) as refused:
        async with hall.session.begin_nested():
            await hall.tip(fan, 1, caps=caps)
    assert refused.value.extra == {"period": "hour", "limit_stars": 100, "left_stars": 0}
    first.at -= timedelta(hours=2)
    await hall.session.flush()
    with pytest.raises(SpendingLimitReached) as refused:
        async with hall.session.begin_nested():
            await hall.tip(fan, 51, caps=caps)
    assert refused.value.extra == {"period": "day", "limit_stars": 150, "left_stars": 50}
    await set_own_limits(hall.session, fan.user_id, hour_stars=20, day_stars=None)
    with pytest.raises(SpendingLimitReached, match="20 left of 20 Stars"):
        async with hall.session.begin_nested():
            await hall.tip(fan, 21, caps=caps)
    await hall.tip(fan, 20, caps=caps)
    first.at += timedelta(hours=2)
    await hall.session.flush()
    assert await hall.broken() == []


async def test_tips_follow_the_clock_of_the_money(hall: Hall) -> None:
    """With test money that is moved: what follows a tip is dated by it, and so are limits."""
    fan, caps = await hall.fan(100), Caps(40, 60)
    before = await hall.tip(fan, 40, caps=caps)
    await on_our_clock(hall.session, ahead=timedelta(days=14))
    after = await hall.tip(fan, 40, caps=caps)
    assert timedelta(days=14) <= after.at - before.at < timedelta(days=14, minutes=5)
    booked = await hall.session.get_one(LedgerTransaction, after.id)
    assert (booked.at, booked.matures_at) == (after.at, after.at + TERMS.maturity)
    with pytest.raises(SpendingLimitReached):
        await hall.tip(fan, 1, caps=caps)
    now = await money_now(hall.session)
    assert (await spending_of(hall.session, after.payer_id, now=now)).day_stars == 40
    assert await hall.broken() == []


async def test_a_clock_that_is_behind_hides_nothing_that_was_spent(hall: Hall) -> None:
    """Web processes on several machines: what one of them booked is ahead of another's now."""
    fan = await hall.fan(100)
    first = await hall.tip(fan, stars=10)
    ahead = first.at + timedelta(minutes=5)
    await hall.session.execute(sa.update(RoomTip).values(at=ahead))
    tips = [await hall.tip(fan, stars=stars) for stars in (20, 30)]
    assert [(tip.at, tip.payer_stars) for tip in tips] == [(ahead, 30), (ahead, 60)]
    spent = await spending_of(hall.session, tips[0].payer_id, now=datetime.now(UTC))
    assert (spent.hour_stars, spent.day_stars, spent.ever_stars) == (60, 60, 60)


async def test_a_goal_counts_and_is_reached_once(hall: Hall) -> None:
    fan = await hall.fan(1_000)
    goal = await goals.set_goal(
        hall.session, principal=hall.host, room_id=hall.room.id, title="A boat", stars=150
    )
    await hall.tip(fan, 100)
    event = await last_event(hall)
    assert event.data["goal"] == {
        "goal_id": str(goal.id),
        "title": "A boat",
        "target_stars": 150,
        "raised_stars": 100,
        "reached": False,
    }
    await end_room(hall.session, principal=hall.host, room_id=hall.room.id)
    await hall.tip(fan, 50)
    assert (await last_event(hall)).kind == "goal.reached"
    await hall.tip(fan, 50)
    assert (await last_event(hall)).kind == "tip.sent"
    again = await goals.set_goal(
        hall.session, principal=hall.host, room_id=hall.room.id, title="Another", stars=5
    )
    await hall.tip(fan, 1)
    await goals.close_goal(hall.session, principal=hall.host, room_id=hall.room.id)
    await hall.tip(fan, 1)
    rows = await hall.session.execute(
        sa.select(RoomGoal.id, RoomGoal.raised_stars, sa.func.sum(RoomTip.stars))
        .join(RoomTip, RoomTip.goal_id == RoomGoal.id)
        .where(RoomGoal.room_id == hall.room.id)
        .group_by(RoomGoal.id)
    )
    assert {tuple(row) for row in rows} == {(goal.id, 200, 200), (again.id, 1, 1)}
    await hall.session.refresh(goal)
    assert goal.reached_at is not None
    assert again.reached_at is None


async def test_tips_race_for_the_last_stars_the_limit_and_the_goal(database: Database) -> None:
    """Fans with Stars for two of three tips, at a limit that allows one of them; each wish is
    sent twice. Books, tips, goal and events agree."""
    async with database.transaction() as session:
        hall = await make_hall(session)
        poor = [await hall.fan(20) for _ in range(4)]
        rich = [await hall.fan(100) for _ in range(4)]
        await goals.set_goal(
            session, principal=hall.host, room_id=hall.room.id, title="A boat", stars=100
        )
    before = hall.room.event_seq

    def tip(fan: Principal, key: str, caps: Caps) -> Any:
        return lambda hall: hall.tip(fan, 10, client_key=key, caps=caps)

    acts = [tip(fan, f"key-of-{n}-x", Caps(99, 99)) for fan in poor for n in range(3)]
    acts += [tip(fan, f"key-of-{n}-x", Caps(10, 99)) for fan in rich for n in range(3)]
    answers = await at_once(database, hall, *acts, *acts)
    said = Counter(type(answer).__name__ for answer in answers)
    tips = {answer.id for answer in answers if isinstance(answer, RoomTip)}
    assert said.keys() == {"RoomTip", "StarsMissing", "SpendingLimitReached"}
    assert len(tips) == 4 * 2 + 4
    async with database.transaction() as session:
        hall = hall.on(session)
        assert await hall.earned(hall.host) == [120]
        goal = await session.scalar(sa.select(RoomGoal).where(RoomGoal.room_id == hall.room.id))
        assert goal is not None
        assert goal.raised_stars == 120
        events = list(
            await session.scalars(
                sa.select(RoomEvent)
                .where(RoomEvent.room_id == hall.room.id, RoomEvent.seq > before)
                .order_by(RoomEvent.seq)
            )
        )
        assert [event.seq for event in events] == list(range(before + 1, before + 14))
        assert Counter(event.kind for event in events) == {"tip.sent": 12, "goal.reached": 1}
        raised = [e.data["goal"]["raised_stars"] for e in events if e.kind == "tip.sent"]
        assert raised == list(range(10, 130, 10))
        assert await hall.broken() == []


async def test_a_refused_tip_leaves_nothing(database: Database) -> None:
    async with database.transaction() as session:
        hall = await make_hall(session)
        fan = await hall.fan(100)
    [refused] = await at_once(
        database, hall, lambda hall: hall.tip(fan, 50, client_key=KEY, caps=Caps(49, 49))
    )
    assert isinstance(refused, SpendingLimitReached)
    async with database.transaction() as session:
        hall = hall.on(session)
        key = f"tip:{fan.user_id}:{KEY}"
        assert await ledger.find(session, hall.room.platform_id, key) is None
        assert (await hall.tip(fan, 49, client_key=KEY)).stars == 49
