"""A live room of ten minutes with a host and people who have Stars."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from core.db import Database, raw_connection
from core.errors import Problem
from payouts import invariants, ledger, purchases
from payouts.accounts import AccountKind
from payouts.limits import Caps
from payouts.postings import Books
from payouts.tip_models import RoomTip
from payouts.tip_wishes import TipWish
from payouts.tips import ask_tip, send_tips
from rooms.lifecycle import update_room
from rooms.models import Role, Room
from rooms.moderation import accept_invitation, invite
from tests.payouts.tills import TERMS, charge
from tests.rooms.conftest import House, make_house

CAPS = Caps(10_000, 50_000)
AGE = timedelta(minutes=10)

_APART: Final = sa.text("""
select 'tip ' || coalesce(r.id, t.id) || ' is not the one of the ledger'
from (select * from room_tip where room_id = :room) r
full join (select * from ledger_transaction where room_id = :room and kind = 'tip') t
    on t.id = r.id
where (r.room_ms, r.stars, r.at, r.payer_id::text) is distinct from
    (t.room_ms, (t.facts->>'stars')::int, t.at, t.facts->>'payer_id')
union all
select 'goal ' || g.id || ' is ' || g.raised_stars || ', its tips ' || coalesce(sum(r.stars), 0)
from room_goal g left join room_tip r on r.goal_id = g.id
where g.room_id = :room group by g.id having g.raised_stars <> coalesce(sum(r.stars), 0)
union all
select 'tip ' || r.id || ' was told ' || count(e.seq) || ' times'
from room_tip r left join room_event e on e.room_id = r.room_id and e.kind = 'tip.sent'
    and e.data->>'tip_id' = r.id::text and e.room_ms = r.room_ms
where r.room_id = :room group by r.id having count(e.seq) <> 1
""").bindparams(sa.bindparam("room", type_=sa.Uuid()))


@dataclass
class Hall:
    """What happens in it by a few words; `on` another session for what must commit."""

    house: House
    room: Room

    @property
    def session(self) -> AsyncSession:
        return self.house.session

    @property
    def host(self) -> Principal:
        return self.house.hosting

    def on(self, session: AsyncSession) -> "Hall":
        return Hall(self.house.on(session), self.room)

    async def fan(self, stars: int = 1_000, name: str = "Fan") -> Principal:
        """Somebody who has bought Stars, at 1.4 minor units each."""
        fan = await self.house.user(name)
        await self.give(fan, stars)
        return fan

    async def give(self, who: Principal, stars: int) -> UUID:
        assert who.user_id is not None
        booked = await purchases.book_purchase(
            self.session,
            platform_id=self.room.platform_id,
            user_id=who.user_id,
            key=f"purchase:{uuid4()}",
            stars=stars,
            charge=charge(stars * 7 // 5, 0),
        )
        return booked.transaction_id

    async def offer(self, share_bps: int) -> None:
        """To who comes on stage from now on."""
        changes = {"speakers_share_bps": share_bps}
        await update_room(self.session, principal=self.host, room_id=self.room.id, changes=changes)

    async def speaker(self, name: str = "Speaker", *, stars: int = 0) -> Principal:
        """Somebody who is invited to the stage and accepts."""
        guest = await self.fan(stars, name) if stars else await self.house.user(name)
        assert guest.user_id is not None
        await invite(
            self.session,
            principal=self.host,
            room_id=self.room.id,
            user_id=guest.user_id,
            role=Role.SPEAKER,
        )
        await accept_invitation(self.session, principal=guest, room_id=self.room.id)
        return guest

    async def tip(
        self, who: Principal, stars: int = 100, *, caps: Caps = CAPS, **wish: Any
    ) -> RoomTip:
        asked: dict[str, Any] = {"client_key": f"key-{uuid4()}", "stars": stars} | wish
        wanted = await ask_tip(
            self.session, principal=who, room_id=self.room.id, wish=TipWish(**asked)
        )
        [sent] = await send_tips(
            await raw_connection(self.session), [wanted], terms=TERMS, caps=caps
        )
        if isinstance(sent, Problem):
            raise sent
        await self.session.refresh(await self.session.get_one(Room, self.room.id))
        return await self.session.get_one(RoomTip, sent.id)

    async def earned(self, *people: Principal) -> list[int]:
        """Minor units that each is owed."""
        books = Books(TERMS.currency)
        accounts = [books.of(AccountKind.CREATOR, who.user_id) for who in people]
        return [
            -await ledger.balance(self.session, self.room.platform_id, account)
            for account in accounts
        ]

    async def broken(self) -> list[object]:
        """What contradicts the books, or each other: tips, ledger, goals, events."""
        found = await invariants.check(self.session, self.room.platform_id)
        apart = await self.session.scalars(_APART, {"room": self.room.id})
        return [*(one for one in found if not one.holds), *apart]


async def make_hall(session: AsyncSession) -> Hall:
    house = await make_house(session)
    room = await house.live_room()
    assert room.live_at is not None
    room.live_at -= AGE
    await session.flush()
    return Hall(house, room)


async def at_once(
    database: Database, hall: Hall, *acts: Callable[[Hall], Awaitable[Any]]
) -> list[Any]:
    """Each in a transaction of its own; what they give, or the problem that they raise."""

    async def one(act: Callable[[Hall], Awaitable[Any]]) -> Any:
        async with database.transaction() as session:
            return await act(hall.on(session))

    return await asyncio.gather(*(one(act) for act in acts), return_exceptions=True)
