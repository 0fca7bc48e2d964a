import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Kind, Principal
from core.auth.rights import AccountNeeded, ScopeMissing
from core.errors import Forbidden, NotFound, Unauthenticated
from core.webhooks.models import WebhookDelivery, WebhookEndpoint
from rooms import lifecycle
from rooms.access import Action, RoomEnded, RoomNotLive
from rooms.lifecycle import RoomDraft
from rooms.models import RecordingState, Room, RoomEvent, RoomState, Visibility
from rooms.queries import room_for
from rooms.stage import stage_of
from tests.rooms.conftest import House, make_house


async def kinds(session: AsyncSession, room: Room) -> list[str]:
    query = sa.select(RoomEvent.kind).where(RoomEvent.room_id == room.id).order_by(RoomEvent.seq)
    return list(await session.scalars(query))


async def test_a_room_goes_from_scheduled_to_live_to_ended(
    session: AsyncSession, house: House
) -> None:
    room = await house.room()
    assert (room.state, room.live_at, room.recording_id) == (RoomState.SCHEDULED, None, None)
    await lifecycle.go_live(session, principal=house.hosting, room_id=room.id)
    assert room.state == RoomState.LIVE
    assert room.recording_id is not None
    assert room.recording_state is RecordingState.ON
    await lifecycle.end_room(session, principal=house.hosting, room_id=room.id)
    await session.refresh(room)
    assert room.state.value == "ended"
    assert room.duration_ms is not None
    assert await kinds(session, room) == [
        "room.created",
        "room.went_live",
        "recording.started",
        "participant.joined",
        "stage.joined",
        "room.ended",
    ]
    stage = await stage_of(session, room.id)
    assert stage is not None
    assert stage.ended_room_ms == room.duration_ms


async def test_ending_twice_changes_nothing(session: AsyncSession, house: House) -> None:
    room = await house.live_room()
    await lifecycle.end_room(session, principal=house.hosting, room_id=room.id)
    first = (room.duration_ms, room.ended_at, room.event_seq)
    await lifecycle.end_room(session, principal=house.hosting, room_id=room.id)
    assert (room.duration_ms, room.ended_at, room.event_seq) == first


async def test_a_room_that_everybody_left_is_ended_by_nobody(
    session: AsyncSession, house: House
) -> None:
    room = await house.live_room()
    await lifecycle.end_abandoned_room(session, room_id=room.id)
    assert room.state is RoomState.ENDED
    event = await session.get_one(RoomEvent, (room.id, room.event_seq))
    assert (event.kind, event.actor_id) == ("room.ended", None)
    assert event.data == {"duration_ms": room.duration_ms, "reason": "abandoned"}
    await lifecycle.end_abandoned_room(session, room_id=room.id)
    assert room.event_seq == event.seq, "ending twice changes nothing"
    scheduled = await house.room()
    with pytest.raises(RoomNotLive):
        await lifecycle.end_abandoned_room(session, room_id=scheduled.id)


async def test_an_ended_room_stays_ended(session: AsyncSession, house: House) -> None:
    room = await house.live_room()
    await lifecycle.end_room(session, principal=house.hosting, room_id=room.id)
    with pytest.raises(RoomEnded):
        await lifecycle.go_live(session, principal=house.hosting, room_id=room.id)


async def test_going_live_twice_is_refused(session: AsyncSession, house: House) -> None:
    room = await house.live_room()
    with pytest.raises(lifecycle.RoomAlreadyLive):
        await lifecycle.go_live(session, principal=house.hosting, room_id=room.id)


async def test_a_scheduled_room_cannot_end(session: AsyncSession, house: House) -> None:
    room = await house.room()
    with pytest.raises(RoomNotLive):
        await lifecycle.end_room(session, principal=house.hosting, room_id=room.id)


async def test_a_key_takes_a_room_live_without_bringing_the_host(
    session: AsyncSession, house: House
) -> None:
    room = await house.room()
    await lifecycle.go_live(session, principal=house.key, room_id=room.id)
    assert "participant.joined" not in await kinds(session, room)


async def test_a_room_may_start_without_recording(session: AsyncSession, house: House) -> None:
    room = await house.live_room(record_from_start=False)
    assert room.recording_state is RecordingState.OFF
    assert "recording.started" not in await kinds(session, room)


async def test_who_may_create(session: AsyncSession, house: House) -> None:
    draft = RoomDraft(title="T")
    guest = await house.user()
    with pytest.raises(Unauthenticated):
        await lifecycle.create_room(session, principal=house.stranger, draft=draft)
    with pytest.raises(Forbidden):
        await lifecycle.create_room(session, principal=guest, draft=draft, host_id=house.host.id)
    with pytest.raises(lifecycle.HostUnknown):
        await lifecycle.create_room(session, principal=house.key, draft=draft)
    keyless = Principal(kind=Kind.API_KEY, platform_id=house.platform.id)
    with pytest.raises(ScopeMissing):
        await lifecycle.create_room(session, principal=keyless, draft=draft, host_id=house.host.id)
    room = await house.room()
    token = Principal(Kind.ROOM_TOKEN, house.platform.id, house.host.id, room_id=room.id)
    with pytest.raises(AccountNeeded):
        await lifecycle.create_room(session, principal=token, draft=draft)


async def test_a_key_cannot_name_another_tenants_user(session: AsyncSession, house: House) -> None:
    other = await make_house(session)
    with pytest.raises(lifecycle.HostUnknown):
        await lifecycle.create_room(
            session, principal=house.key, draft=RoomDraft(title="T"), host_id=other.host.id
        )


async def test_an_update_names_only_what_changed(session: AsyncSession, house: House) -> None:
    room = await house.room(title="Old")
    changes = {"title": "New", "language": room.language}
    await lifecycle.update_room(session, principal=house.hosting, room_id=room.id, changes=changes)
    event = await session.get_one(RoomEvent, (room.id, room.event_seq))
    assert (event.kind, event.data) == ("room.updated", {"fields": ["title"]})


async def test_the_schedule_is_fixed_once_live(session: AsyncSession, house: House) -> None:
    room = await house.live_room()
    with pytest.raises(lifecycle.RoomStarted):
        await lifecycle.update_room(
            session,
            principal=house.hosting,
            room_id=room.id,
            changes={"record_from_start": False},
        )


async def test_a_group_room_opened_to_all_forgets_its_group(
    session: AsyncSession, house: House
) -> None:
    room = await house.group_room()
    await lifecycle.update_room(
        session,
        principal=house.hosting,
        room_id=room.id,
        changes={"visibility": Visibility.PUBLIC},
    )
    assert room.group_id is None


async def test_a_group_room_needs_its_group(session: AsyncSession, house: House) -> None:
    with pytest.raises(lifecycle.GroupMismatch):
        await house.room(visibility=Visibility.GROUP)


async def test_only_a_scheduled_room_is_deleted(session: AsyncSession, house: House) -> None:
    room, live = await house.room(), await house.live_room()
    await lifecycle.delete_room(session, principal=house.hosting, room_id=room.id)
    with pytest.raises(NotFound):
        await room_for(session, house.hosting, room.id, Action.SEE)
    with pytest.raises(lifecycle.RoomStarted):
        await lifecycle.delete_room(session, principal=house.hosting, room_id=live.id)


async def test_the_platform_is_told_of_start_and_end(session: AsyncSession, house: House) -> None:
    url = "https://platform.example/hook"
    endpoint = WebhookEndpoint(platform_id=house.platform.id, url=url, secret=b"sealed")
    session.add(endpoint)
    await session.flush()
    room = await house.live_room()
    await lifecycle.end_room(session, principal=house.hosting, room_id=room.id)
    await lifecycle.end_room(session, principal=house.hosting, room_id=room.id)
    owed = sa.select(WebhookDelivery).where(WebhookDelivery.endpoint_id == endpoint.id)
    deliveries = list(await session.scalars(owed.order_by(WebhookDelivery.id)))
    assert sorted(d.kind for d in deliveries) == ["room.ended", "room.went_live"]
    assert all(d.data["room_id"] == str(room.id) for d in deliveries)
