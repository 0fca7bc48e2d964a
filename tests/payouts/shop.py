"""Encore's web process and the sandbox, both over loopback, and people who buy and earn."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx
import sqlalchemy as sa

from core.auth.models import Platform, User
from core.auth.platforms import ensure_default_platform
from core.db import Database
from payouts import invariants, ledger
from payouts.accounts import Account, AccountKind
from payouts.books import terms_of
from payouts.cashier import Cashier, follow_sandbox
from payouts.creators import Earnings, earnings
from payouts.gateway_models import ConnectedAccount, InboxEvent, StarOrder
from payouts.onboarding import DISCONNECTED
from payouts.postings import Share
from payouts.purchases import grant
from payouts.reconcile import reconcile
from payouts.sandbox.resources.balance import available
from payouts.sandbox.world import World
from payouts.spending import Tip
from payouts.stripe_facts import MoneyException, TransferIntent
from payouts.wallets import Holdings, holdings_of
from tests.factories import make_user, sign_in
from tests.payouts.booking import book_tip
from tests.payouts.comparing_books import differences
from tests.polling import eventually
from workers.kinds import Tools
from workers.money import MONEY_JOBS

BODIES = {kind.entrypoint: kind.body for kind in MONEY_JOBS}
TAKE = sa.text("""
delete from pgqueuer where status = 'queued' and entrypoint = any(:kinds) and execute_after <= now()
returning entrypoint, payload
""")

KEY = "sk_test_" + "k" * 32
PLATFORM_SECRET = "whsec_" + "p" * 24
CONNECT_SECRET = "whsec_" + "c" * 24
MINIMUM = 300
NEXT_SECRET = "whsec_" + "n" * 24
"""What is signed with once the platform's is rotated."""


@dataclass(frozen=True)
class Person:
    user: User
    headers: dict[str, str]


@dataclass
class Shop:
    world: World
    cashier: Cashier
    tools: Tools
    http: httpx.AsyncClient
    """Of our own API, below /v1."""
    browser: httpx.AsyncClient
    """At the sandbox; without redirects."""
    foreign: dict[str, int] = field(default_factory=dict)
    """What others than we have transferred, by account."""

    @property
    def database(self) -> Database:
        return self.cashier.database

    async def person(self, platform: Platform | None = None) -> Person:
        """Of the site's own platform unless of another."""
        async with self.database.transaction() as session:
            site = await session.get_one(Platform, await ensure_default_platform(session))
            platform = platform or site
            user = await make_user(session, platform)
            token = await sign_in(session, user)
        return Person(user, {"Authorization": f"Bearer {token}"})

    async def order(self, buyer: Person, pack: str = "usd-500", key: str = "") -> dict[str, Any]:
        body = {"client_key": key or uuid4().hex, "pack": pack}
        answer = await self.http.post("/orders", json=body, headers=buyer.headers)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def see(self, buyer: Person, order: dict[str, Any]) -> dict[str, Any]:
        answer = await self.http.get(f"/orders/{order['id']}", headers=buyer.headers)
        assert answer.status_code == 200, answer.text
        seen: dict[str, Any] = answer.json()
        return seen

    async def pay(self, url: str, card: str = "4242 4242 4242 4242") -> httpx.Response:
        form = {
            "email": "ada@example.org",
            "name": "Ada",
            "number": card,
            "expiry": "12 / 34",
            "cvc": "123",
        }
        return await self.browser.post(urlsplit(url).path, data=form)

    async def bought(self, buyer: Person, pack: str = "usd-500") -> dict[str, Any]:
        """A paid order, with its Stars in the wallet."""
        order = await self.order(buyer, pack)
        assert (await self.pay(order["checkout_url"])).status_code == 303
        await self.settle()
        order = await self.see(buyer, order)
        assert order["state"] == "paid"
        return order

    async def wallet(self, buyer: Person) -> Holdings:
        platform_id, user_id = buyer.user.platform_id, buyer.user.id
        async with self.database.transaction() as session:
            return await holdings_of(session, platform_id=platform_id, user_id=user_id)

    async def control(self, act: str, /, **asked: Any) -> dict[str, Any]:
        answer = await self.browser.post(
            f"/_control/{act}", json=asked, headers={"Authorization": f"Bearer {KEY}"}
        )
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        if act == "clock":
            await follow_sandbox(self.cashier)
        return told

    @property
    def now(self) -> datetime:
        """On the sandbox's clock, which the money's follows."""
        return datetime.fromtimestamp(self.world.now(), UTC)

    async def settle(self, *, but: str = "") -> None:
        """Every webhook that was sent has come, and every job that is owed is done, `but` one kind
        of them."""
        await eventually(self._delivered, every_s=0.004)
        await self.work(but=but)

    async def work(self, *, but: str = "") -> None:
        while jobs := await self._take_jobs(but):
            bodies = (BODIES[name](self.tools, payload) for name, payload in jobs)
            await asyncio.gather(*bodies)

    async def _delivered(self) -> bool:
        waiting = self.world.store.sql.execute(
            "select count(*) from deliveries where state = 'due' and attempts = 0"
        )
        return int(waiting.fetchone()[0]) == 0

    async def _take_jobs(self, but: str = "") -> list[tuple[str, dict[str, Any]]]:
        """As a worker takes them, but without its tenth of a second to see that there are none."""
        async with self.database.transaction() as session:
            rows = await session.execute(TAKE, {"kinds": [name for name in BODIES if name != but]})
            return [(row.entrypoint, json.loads(row.payload)) for row in rows]

    async def forget_jobs(self) -> None:
        """The queue has given them up."""
        await self._take_jobs()

    async def disconnect(self, creators: Sequence[UUID]) -> None:
        """Nobody pays them, or looks after their accounts, any more."""
        async with self.database.transaction() as session:
            theirs = sa.update(ConnectedAccount).where(ConnectedAccount.user_id.in_(creators))
            gone = theirs.values(transfers_active=False, disabled_reason=DISCONNECTED)
            await session.execute(gone)

    async def grow_old(self, by: timedelta) -> None:
        """Every event in the inbox came so much earlier."""
        async with self.database.transaction() as session:
            came = InboxEvent.received_at - by
            await session.execute(sa.update(InboxEvent).values(received_at=came))

    async def sound(self) -> None:
        """All eleven invariants hold, in the books of all people of this shop."""
        async with self.database.transaction() as session:
            platform_id = await ensure_default_platform(session)
            found = await invariants.check(session, platform_id)
        assert len(found) == 11
        broken = [each for each in found if not each.holds]
        assert not broken, broken

    async def agree(self, known: Mapping[str, int] | None = None) -> None:
        """At the end: the eleven hold, and Stripe's books and ours say the same; but for what of
        `known` accounts somebody else did."""
        await reconcile(self.cashier)
        await self.settle()
        await self.sound()
        self.foreign |= known or {}
        apart = await differences(self.database, self.world, self.foreign)
        assert not apart, apart

    async def in_bank(self, account: str) -> int:
        """What of a connected account has reached its owner, as our memo says."""
        return await self.balance(AccountKind.CREATOR_BANK, account)

    async def give_back(self, buyer: Person, order: dict[str, Any]) -> dict[str, Any]:
        answer = await self.http.post(f"/orders/{order['id']}/refunds", headers=buyer.headers)
        assert answer.status_code == 202, answer.text
        refund: dict[str, Any] = answer.json()
        return refund

    def charge_of(self, order: dict[str, Any]) -> str:
        made = self.world.store.select("charge", self.world.platform)
        return str(next(c["id"] for c in made if c["metadata"].get("order") == order["id"]))

    def refunds_of(self, order: dict[str, Any]) -> int:
        """How many Stripe made."""
        made = self.world.store.select("refund", self.world.platform)
        return sum(each["charge"] == self.charge_of(order) for each in made)

    async def refund_at_stripe(self, order: dict[str, Any], refund: dict[str, Any]) -> None:
        """As the job does, which then dies before anything is committed."""
        await self.cashier.gateway.refund(
            key=refund["id"],
            charge=self.charge_of(order),
            amount_minor=refund["amount_minor"],
            metadata={"refund": refund["id"], "order": order["id"]},
        )

    async def lies_at(self, account: str) -> int:
        """What of a connected account's money is at Stripe and can be moved."""
        return available(self.world.call(account), self.world.currency)

    async def make_old(self, order: dict[str, Any]) -> None:
        """Its day has passed."""
        async with self.database.transaction() as session:
            row = await session.get_one(StarOrder, UUID(order["id"]))
            row.expires_at = datetime.now(UTC) - timedelta(minutes=1)

    async def balance(self, kind: AccountKind, owner: object = "") -> int:
        """Of the site's books, in the settlement currency."""
        async with self.database.transaction() as session:
            platform_id = await ensure_default_platform(session)
            return await ledger.balance(session, platform_id, Account(kind, "USD", str(owner)))

    async def tip(
        self,
        payer: Person,
        creator: Person,
        stars: int,
        *,
        at: datetime | None = None,
        key: str = "",
    ) -> None:
        tip = Tip(
            payer_id=payer.user.id,
            key=key or f"tip:{uuid4()}",
            stars=stars,
            shares=[Share(creator.user.id)],
            at=at or self.now,
        )
        async with self.database.transaction() as session:
            await book_tip(
                session,
                platform_id=payer.user.platform_id,
                tip=tip,
                terms=terms_of(self.cashier.settings),
            )

    async def onboard(self, creator: Person, bank: str = "000123456789") -> str:
        """Their connected account, which may be transferred to."""
        answer = await self.http.post("/creators/me/onboarding", headers=creator.headers)
        assert answer.status_code == 201, answer.text
        form = {"first_name": "Grace", "last_name": "Hopper", "bank": bank}
        await self.browser.post(urlsplit(answer.json()["url"]).path, data=form)
        await self.settle()
        async with self.database.transaction() as session:
            mine = sa.select(ConnectedAccount).where(ConnectedAccount.user_id == creator.user.id)
            account = (await session.scalars(mine)).one()
        assert account.account is not None
        return account.account

    async def earner(self, stars: int = 4000) -> Person:
        """An onboarded creator whose tips, of Stars that were a present, matured long ago."""
        payer, creator = await self.person(), await self.person()
        async with self.database.transaction() as session:
            await grant(
                session,
                platform_id=payer.user.platform_id,
                user_id=payer.user.id,
                key=f"promotion:{payer.user.id}",
                stars=stars,
                currency="USD",
            )
        await self.tip(payer, creator, stars, at=self.now - timedelta(days=30))
        await self.onboard(creator)
        return creator

    async def earnings(self, creator: Person) -> Earnings:
        async with self.database.transaction() as session:
            return await earnings(
                session,
                platform_id=creator.user.platform_id,
                creator_id=creator.user.id,
                currency="USD",
            )

    async def intents(self, creator: Person) -> list[TransferIntent]:
        """Oldest first."""
        async with self.database.transaction() as session:
            mine = sa.select(TransferIntent).where(TransferIntent.creator_id == creator.user.id)
            return list((await session.scalars(mine.order_by(TransferIntent.id))).all())

    def transfers(self, intent: TransferIntent) -> int:
        """How many Stripe made of it."""
        made = self.world.store.select("transfer", self.world.platform)
        return sum(each["transfer_group"] == str(intent.id) for each in made)

    async def exceptions(self, object_id: str) -> list[str]:
        """Why it was set aside."""
        async with self.database.transaction() as session:
            rows = sa.select(MoneyException.reason).where(MoneyException.object_id == object_id)
            return list((await session.scalars(rows)).all())

    async def inbox(self, subject: str) -> list[InboxEvent]:
        async with self.database.transaction() as session:
            found = sa.select(InboxEvent).where(InboxEvent.subject == subject)
            return list((await session.scalars(found)).all())
