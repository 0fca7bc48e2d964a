"""People of every role, and rooms among them, for the table of who may do what."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import Platform, User
from core.db import Database
from core.ids import uuid7
from ingest.models import IngestWorker, Recording
from payouts import purchases
from payouts.gateway_models import StarOrder
from payouts.tip_models import RoomTip
from rooms.groups import create_group
from rooms.models import GroupMember, Participant, Role, Room, Visibility
from rooms.moderation import invite
from rooms.participation import set_consent, set_hand
from tests.factories import as_user, make_api_key, make_user, sign_in
from tests.rooms.conftest import House
from tests.transcripts.heard import Heard, spoken
from transcripts.editing import Correction, correct
from transcripts.models import Patch


@dataclass
class World:
    """The people; each cell makes a room among them."""

    app: FastAPI
    database: Database
    platform: Platform
    people: dict[str, User]
    other: Platform

    async def headers(self, role: str) -> dict[str, str]:
        """Fresh credentials each time: rate limits count them apart."""
        if role == "stranger":
            return {}
        async with self.database.transaction() as session:
            if role == "api_key":
                token = (await make_api_key(session, self.platform))[1]
            else:
                token = await sign_in(session, self.people[role])
        return {"Authorization": f"Bearer {token}"}

    async def room(self, visibility: Visibility) -> dict[str, str]:
        """A live, recorded room with its people in place; the names that paths use."""
        async with self.database.transaction() as session:
            house = House(session, self.platform, self.people["host"])
            group = await create_group(session, principal=house.hosting, name="Members")
            place = {} if visibility is not Visibility.GROUP else {"group_id": group.id}
            room = await house.live_room(visibility=visibility, **place)
            visitor = await make_user(session, self.platform)
            members = (*(self.people[n] for n in ("listener", "speaker", "cohost")), visitor)
            session.add_all(GroupMember(group_id=group.id, user_id=m.id) for m in members)
            guest = await self._fill(session, house, room, visitor)
            await self._record(session, room)
            edit = await self._transcribe(session, room, guest)
            target = await make_user(session, self.platform)
            order = an_order(self.people["listener"])
            tip = a_tip(room, self.people["listener"])
            session.add_all((order, tip))
        return {
            "room": str(room.id),
            "recording": str(room.recording_id),
            "guest": str(guest.id),
            "edit": str(edit.id),
            "group": str(group.id),
            "user": str(target.id),
            "order": str(order.id),
            "tip": str(tip.id),
            "missing": str(uuid7()),
            "external": uuid4().hex,
            "extension": "vtt",
            "month": "2026-11",
        }

    async def _fill(
        self, session: AsyncSession, house: House, room: Room, visitor: User
    ) -> Participant:
        for name, role in (
            ("listener", Role.LISTENER), ("speaker", Role.SPEAKER), ("cohost", Role.COHOST)
        ):  # fmt: skip
            session.add(_present(room, self.people[name], role))
        await set_consent(session, principal=house.hosting, room_id=room.id, consent=True)
        guest = _present(room, visitor, Role.LISTENER)
        invited = await make_user(session, self.platform)
        session.add(guest)
        await session.flush()
        await invite(
            session, principal=house.hosting, room_id=room.id, user_id=invited.id, role=Role.SPEAKER
        )
        await set_hand(session, principal=as_user(visitor), room_id=room.id, raised=True)
        return guest

    async def _record(self, session: AsyncSession, room: Room) -> None:
        assert room.recording_id is not None
        assert room.live_at is not None
        worker = IngestWorker(
            whip_url="http://127.0.0.1:1", started_at=room.live_at, heartbeat_at=room.live_at
        )
        session.add(worker)
        await session.flush()
        session.add(
            Recording(
                id=room.recording_id,
                room_id=room.id,
                platform_id=room.platform_id,
                worker_id=worker.id,
                epoch=1,
                live_at=room.live_at,
            )
        )

    async def _transcribe(self, session: AsyncSession, room: Room, guest: Participant) -> Patch:
        """What the guest said, as the host has corrected it once."""
        assert room.recording_id is not None
        recording = await session.get_one(Recording, room.recording_id)
        heard = Heard(House(session, self.platform, self.people["host"]), room, recording)
        await heard.publish(await heard.run({guest: spoken("hello")}))
        wanted = Correction(
            base_version=1, participant_id=guest.id, start_ms=0, end_ms=300, text="hi"
        )
        _, patch = await correct(
            session,
            principal=as_user(self.people["host"]),
            recording_id=recording.id,
            wanted=wanted,
        )
        assert patch is not None
        return patch


def an_order(buyer: User) -> StarOrder:
    """Of Stars, which its buyer alone may know of."""
    return StarOrder(
        id=uuid7(),
        platform_id=buyer.platform_id,
        user_id=buyer.id,
        client_key=uuid4().hex,
        pack="usd-500",
        stars=500,
        price_minor=699,
        currency="USD",
        tax_minor=0,
        livemode=False,
        expires_at=datetime.now(UTC),
    )


def a_tip(room: Room, payer: User) -> RoomTip:
    """As the room shows it; the books know nothing of it."""
    return RoomTip(
        id=uuid7(),
        platform_id=room.platform_id,
        room_id=room.id,
        payer_id=payer.id,
        stars=5,
        message="well said",
        anonymous=False,
        live=True,
        room_ms=0,
        at=datetime.now(UTC),
        wish_sha256=b"",
        payer_stars=5,
    )


async def give_stars(session: AsyncSession, user: User) -> None:
    await purchases.grant(
        session,
        platform_id=user.platform_id,
        user_id=user.id,
        key=f"promotion:{user.id}",
        stars=1_000,
        currency="USD",
    )


def _present(room: Room, user: User, role: Role) -> Participant:
    return Participant(
        room_id=room.id,
        user_id=user.id,
        display_name=user.display_name,
        role=role,
        joined_at=room.live_at,
        consented_at=room.live_at,
    )
