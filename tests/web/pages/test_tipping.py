"""What a room's page begins with of its tips, and for whom."""

from sqlalchemy.ext.asyncio import AsyncSession

from payouts.goals import set_goal
from payouts.leaving import leave
from rooms.lifecycle import end_room
from rooms.moderation import remove_participant
from rooms.moments import course_of
from rooms.participation import join_room
from tests.payouts.tipping import make_hall
from tests.web.pages.conftest import Look, page_data


async def test_a_live_page_begins_with_goal_and_last_tips(
    session: AsyncSession, look: Look
) -> None:
    hall = await make_hall(session)
    address = f"/rooms/{hall.room.id}"
    fan = await hall.fan(name="Grace")
    await set_goal(session, principal=hall.host, room_id=hall.room.id, title="A boat", stars=5_000)
    await hall.tip(fan, 100, message="</script>Hi", anonymous=True)
    await hall.tip(fan, 7)
    host = page_data(await look(hall.host).text(address))
    assert [(tip["stars"], tip["name"], tip["mine"]) for tip in host["tips"]["latest"]] == [
        (100, None, False),
        (7, "Grace", False),
    ]
    assert host["tips"]["latest"][0]["message"] == "</script>Hi"
    assert host["tips"]["goal"]["raised_stars"] == 107
    assert host["tips"]["tiers"][0]["from_stars"] == 1
    own = page_data(await look(fan).text(address))
    assert [(tip["name"], tip["mine"]) for tip in own["tips"]["latest"]] == [("Grace", True)] * 2
    await end_room(session, principal=hall.host, room_id=hall.room.id)
    assert page_data(await look(fan).text(address))["tips"]["latest"] == [], "it reads them all"


async def test_a_page_says_when_nobody_would_be_paid(session: AsyncSession, look: Look) -> None:
    """Live only where the host was let go: then who comes on stage may change it at any moment."""
    hall = await make_hall(session)
    address = f"/rooms/{hall.room.id}"
    fan = await hall.fan(10)

    async def told() -> tuple[object, object]:
        tips = page_data(await look(fan).text(address))["tips"]
        return tips["unpaid"], tips["earners"]

    assert await told() == ([], None)
    assert hall.host.user_id is not None
    await leave(session, platform_id=hall.room.platform_id, user_id=hall.host.user_id)
    assert await told() == ([[0, None]], [])
    await hall.offer(5_000)
    speaker = await hall.speaker()
    [move] = [m for m in (await course_of(session, hall.room.id)).moves if m.share_bps]
    assert await told() == ([[0, move.room_ms]], [str(speaker.user_id)])
    await end_room(session, principal=hall.host, room_id=hall.room.id)
    assert await told() == ([[0, move.room_ms]], None)


async def test_who_may_tip_has_the_sheet(session: AsyncSession, look: Look) -> None:
    hall = await make_hall(session)
    address = f"/rooms/{hall.room.id}"
    guest, gone = await hall.house.user(), await hall.house.user()
    _, place = await join_room(session, principal=gone, room_id=hall.room.id)
    await remove_participant(
        session, principal=hall.host, room_id=hall.room.id, participant_id=place.id
    )
    shown = {
        name: 'id="tip-form"' in await look(who).text(address)
        for name, who in (
            ("guest", guest), ("gone", gone), ("host", hall.host), ("stranger", hall.house.stranger)
        )
    }  # fmt: skip
    assert shown == {"guest": True, "gone": False, "host": False, "stranger": False}
    assert 'id="goal-set"' in await look(hall.host).text(address)
    assert 'id="goal-set"' not in await look(guest).text(address)
