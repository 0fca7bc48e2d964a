"""Rooms with speakers who share and a goal, and people with Stars, for bench/tips.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import LoginSession, User
from core.auth.opaque import Prefix, digest, new_secret
from core.auth.platforms import ensure_default_platform
from core.auth.principal import Kind, Principal
from core.db import Database
from payouts import goals, purchases
from payouts.postings import BalanceTransaction, Terms
from rooms.lifecycle import RoomDraft, create_room, go_live
from rooms.models import Role, Room
from rooms.moderation import accept_invitation, invite

ROOMS: Final = 64
SPEAKERS: Final = 2
PAYERS: Final = 512
LOTS: Final = (1_500, 1_000_000)
TERMS: Final = Terms()


@dataclass(frozen=True)
class Payer:
    principal: Principal
    token: str


@dataclass(frozen=True)
class Hall:
    platform_id: UUID
    rooms: Sequence[UUID]
    payers: Sequence[Payer]


async def open_hall(database: Database) -> Hall:
    async with database.transaction() as session:
        platform_id = await ensure_default_platform(session)
        rooms = [(await _room(session, platform_id)).id for _ in range(ROOMS)]
        payers = [await _payer(session, platform_id, n) for n in range(PAYERS)]
    return Hall(platform_id, rooms, payers)


async def _room(session: AsyncSession, platform_id: UUID) -> Room:
    """Live, its host and two speakers on stage, with an open goal."""
    host = _principal(await _user(session, platform_id, "Host"))
    draft = RoomDraft(title="Bench", speakers_share_bps=6_000)
    room = await create_room(session, principal=host, draft=draft)
    room = await go_live(session, principal=host, room_id=room.id)
    for number in range(SPEAKERS):
        guest = await _user(session, platform_id, f"Speaker {number}")
        await invite(session, principal=host, room_id=room.id, user_id=guest.id, role=Role.SPEAKER)
        await accept_invitation(session, principal=_principal(guest), room_id=room.id)
    await goals.set_goal(
        session, principal=host, room_id=room.id, title="A new microphone", stars=50_000
    )
    return room


async def _payer(session: AsyncSession, platform_id: UUID, number: int) -> Payer:
    user, token = await _user(session, platform_id, f"Fan {number}"), new_secret(Prefix.SESSION)
    expires = datetime.now(UTC) + timedelta(days=1)
    session.add(LoginSession(user_id=user.id, secret_sha256=digest(token), expires_at=expires))
    for stars in LOTS:
        await purchases.book_purchase(
            session,
            platform_id=platform_id,
            user_id=user.id,
            key=f"purchase:{uuid4()}",
            stars=stars,
            charge=_charge(stars * 139 // 100),
        )
    return Payer(_principal(user), token)


async def _user(session: AsyncSession, platform_id: UUID, name: str) -> User:
    user = User(
        platform_id=platform_id,
        display_name=name,
        email=f"{uuid4().hex}@example.org",
        email_verified_at=datetime.now(UTC),
    )
    session.add(user)
    await session.flush()
    return user


def _principal(user: User) -> Principal:
    return Principal(
        kind=Kind.USER,
        platform_id=user.platform_id,
        user_id=user.id,
        display_name=user.display_name,
    )


def _charge(amount_minor: int) -> BalanceTransaction:
    return BalanceTransaction(
        id=f"txn_{uuid4().hex}",
        kind="charge",
        amount_minor=amount_minor,
        fee_minor=50,
        currency=TERMS.currency,
        at=datetime.now(UTC),
    )
