"""Whatever happens between us and Stripe, in whatever order, however often it is told, or never:
the books hold after each step, and in the end they are Stripe's.

All of it is the real thing: our API, the gateway, the inbox with signed events, jobs, and the
sandbox, which is a process's whole application, over loopback.
"""

import asyncio
import json
import os
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from stripe import WebhookSignature

from payouts import invariants
from payouts.reconcile import reconcile
from payouts.sandbox.store import Object
from payouts.spending import StarsMissing, WalletFrozen
from payouts.sweep import sweep
from tests.factories import make_platform
from tests.payouts.shop import CONNECT_SECRET, PLATFORM_SECRET, Person, Shop

STEPS = int(os.environ.get("ENCORE_TEST_STEPS", "300"))
"""As many more as anybody has time for: each is a few calls to Stripe and a check of the books."""

WALK = 60

CARDS = ("4242 4242 4242 4242", "4242 4242 4242 4242", "4000 0000 0000 0002")
OF_KIND = "select body from objects where kind = ? and account = ? and place > ?"
SINCE = "select place, account, body from objects where kind = 'event' and place > ? order by place"
DAY = 86_400

pick = st.integers(0, 10**6)
Result = TypeVar("Result")
T = TypeVar("T")


def one_of(there: list[T], number: int) -> T:
    return there[number % len(there)]


@dataclass
class Street:
    """People of a platform of their own, and what they have done."""

    buyers: list[Person]
    creators: list[Person]
    orders: list[tuple[Person, Object]] = field(default_factory=list)
    tips: list[tuple[Person, Person, int, str]] = field(default_factory=list)
    untold: list[Object] = field(default_factory=list)
    told: list[Object] = field(default_factory=list)
    seen: int = 0


class AnyOrder(RuleBasedStateMachine):
    shop: ClassVar[Shop]
    loop: ClassVar[asyncio.AbstractEventLoop]
    steps: ClassVar[Counter[str]] = Counter()

    def run(self, step: Coroutine[Any, Any, Result]) -> Result:
        """On the loop of the shop: rules are plain functions, what they call is not."""
        return asyncio.run_coroutine_threadsafe(step, self.loop).result()

    def stripes(self, kind: str, account: str | None = None) -> list[Object]:
        """What the sandbox has of a kind, on our own account unless on another, of this walk."""
        return self.run(self._stripes(kind, account))

    async def _stripes(self, kind: str, account: str | None) -> list[Object]:
        asked = (kind, account or self.shop.world.platform, self.began)
        rows = self.shop.world.store.sql.execute(OF_KIND, asked).fetchall()
        return [json.loads(row["body"]) for row in rows]

    def counted(self, kind: str) -> None:
        type(self).steps[kind] += 1

    @initialize()
    def people(self) -> None:
        self.street = self.run(self._people())

    async def _people(self) -> Street:
        self.began = self._newest()
        async with self.shop.database.transaction() as session:
            platform = await make_platform(session)
        people = [await self.shop.person(platform) for _ in range(4)]
        for creator in people[2:]:
            await self.shop.onboard(creator)
        for buyer in people[:2]:
            await self.shop.bought(buyer, "usd-1000")
        await self.shop.control("faults/webhooks", action="drop", count=10**6)
        return Street(people[:2], people[2:], seen=self._newest())

    def teardown(self) -> None:
        """In the end all is told by reconciliation alone."""
        self.run(self._rest())

    async def _rest(self) -> None:
        await self.shop.control("faults/clear")
        await self.shop.agree()
        await self._hold()

    def _newest(self) -> int:
        newest = self.shop.world.store.sql.execute("select max(place) as place from objects")
        return int(newest.fetchone()["place"])

    async def _listen(self) -> None:
        """What Stripe would tell of the step: nothing of it has been sent."""
        for row in self.shop.world.store.sql.execute(SINCE, (self.street.seen,)).fetchall():
            event = json.loads(row["body"])
            self.street.untold.append(event)
            self.street.seen = row["place"]

    @rule(number=pick, pack=st.sampled_from(["usd-500", "usd-1000"]), card=st.sampled_from(CARDS))
    def buy(self, number: int, pack: str, card: str) -> None:
        self.counted("buy")
        buyer = one_of(self.street.buyers, number)
        order = self.run(self.shop.order(buyer, pack))
        self.run(self.shop.pay(order["checkout_url"], card))
        self.street.orders.append((buyer, order))

    @rule(number=pick, stars=st.integers(1, 600), days=st.sampled_from([0, 0, 30]))
    def tip(self, number: int, stars: int, days: int) -> None:
        tip = (
            one_of(self.street.buyers, number),
            one_of(self.street.creators, number // 2),
            stars,
            f"tip:{number}:{len(self.street.tips)}:{self.began}",
        )
        if self.run(self._tip(*tip, days)):
            self.counted("tip")
            self.street.tips.append(tip)
        else:
            self.counted("tip refused")

    async def _tip(self, payer: Person, creator: Person, stars: int, key: str, days: int) -> bool:
        at = self.shop.now - timedelta(days=days)
        try:
            await self.shop.tip(payer, creator, stars, key=key, at=at)
        except (StarsMissing, WalletFrozen):
            return False
        return True

    @precondition(lambda self: self.street.tips)
    @rule(number=pick)
    def tip_again(self, number: int) -> None:
        self.counted("tip again")
        payer, creator, stars, key = one_of(self.street.tips, number)
        before = self.run(self.shop.wallet(payer))
        self.run(self._tip(payer, creator, stars, key, 0))
        assert self.run(self.shop.wallet(payer)) == before

    @precondition(lambda self: self.street.orders)
    @rule(number=pick)
    def ask_for_a_refund(self, number: int) -> None:
        buyer, order = one_of(self.street.orders, number)
        asked = self.shop.http.post(f"/orders/{order['id']}/refunds", headers=buyer.headers)
        status = self.run(asked).status_code
        assert status in (202, 409)
        self.counted("refund" if status == 202 else "refund refused")

    @precondition(lambda self: self.stripes("refund"))
    @rule(number=pick)
    def a_refund_fails(self, number: int) -> None:
        refund = one_of(self.stripes("refund"), number)
        if refund["status"] != "failed":
            self.counted("refund fails")
            self.run(self.shop.control("refunds/fail", id=refund["id"]))

    @rule(chore=st.sampled_from(["jobs run", "sweep", "sweep", "jobs lost", "reconcile"]))
    def a_worker(self, chore: str) -> None:
        self.counted(chore)
        self.run(self._work(chore))

    async def _work(self, chore: str) -> None:
        match chore:
            case "jobs run":
                await self.shop.work()
            case "jobs lost":
                await self.shop.forget_jobs()
            case "sweep":
                await sweep(self.shop.cashier)
            case _:
                await reconcile(self.shop.cashier)

    @rule(number=pick, part=st.integers(0, 3))
    def dispute(self, number: int, part: int) -> None:
        charges = [c for c in self.stripes("charge") if c["paid"] and not c["disputed"]]
        if charges:
            charge = one_of(charges, number)
            left = charge["amount"] - charge["amount_refunded"]
            if left:
                self.counted("dispute")
                amount = max(1, left // (part + 1))
                asked = self.shop.control("disputes", charge=charge["id"], amount=amount)
                self.run(asked)

    @rule(number=pick, won=st.booleans())
    def a_dispute_ends(self, number: int, won: bool) -> None:
        open_ = [d for d in self.stripes("dispute") if d["status"] == "needs_response"]
        if open_:
            self.counted("dispute won" if won else "dispute lost")
            name = one_of(open_, number)["id"]
            self.run(self.shop.control("disputes/settle", dispute=name, won=won))

    @rule(days=st.sampled_from([1, 3, 15]))
    def time_passes(self, days: int) -> None:
        """Transfers are paid out on the way, disputes that nobody answered are lost."""
        self.counted("time")
        self.run(self.shop.control("clock", advance_seconds=days * DAY))

    @rule(number=pick, part=st.integers(1, 4))
    def a_transfer_comes_back(self, number: int, part: int) -> None:
        made = [t for t in self.stripes("transfer") if not t["reversed"]]
        if made:
            transfer = one_of(made, number)
            amount = max(1, (transfer["amount"] - transfer["amount_reversed"]) // part)
            back = self.shop.cashier.gateway._v1.transfers.reversals  # the dashboard's button
            if self.run(self.shop.lies_at(transfer["destination"])) >= amount:
                self.counted("transfer reversed")
                self.run(back.create_async(transfer["id"], {"amount": amount}))

    @rule(number=pick)
    def a_payout_fails(self, number: int) -> None:
        accounts = {transfer["destination"] for transfer in self.stripes("transfer")}
        there = [
            (account, payout["id"])
            for account in sorted(accounts)
            for payout in self.stripes("payout", account)
            if payout["status"] not in ("failed", "canceled")
        ]
        if there:
            self.counted("payout fails")
            account, payout = one_of(there, number)
            self.run(self.shop.control("payouts/fail", id=payout))
            self.run(self.shop.control("accounts/enable", id=account))

    @rule(number=pick, becomes=st.sampled_from(["event", "event", "event again", "event lost"]))
    def an_event(self, number: int, becomes: str) -> None:
        """In any order, as often as it likes, or never."""
        there = self.street.told if becomes == "event again" else self.street.untold
        if not there:
            return
        self.counted(becomes)
        event = one_of(there, number)
        if becomes != "event again":
            there.remove(event)
        if becomes == "event":
            self.street.told.append(event)
        if becomes != "event lost":
            self.run(self._told(event))

    async def _told(self, event: Object) -> None:
        body = json.dumps(event)
        secret = CONNECT_SECRET if event.get("account") else PLATFORM_SECRET
        header = WebhookSignature.generate_signature_header(body, secret)
        headers = {"Stripe-Signature": header}
        answer = await self.shop.http.post("/stripe/webhooks", content=body, headers=headers)
        assert answer.status_code == 204
        await self.shop.work()

    @invariant()
    def the_books_hold(self) -> None:
        self.counted("steps")
        self.run(self._listen())
        self.run(self._hold())

    async def _hold(self) -> None:
        async with self.shop.database.transaction() as session:
            platform_id = self.street.buyers[0].user.platform_id
            found = await invariants.check(session, platform_id)
        assert [each for each in found if not each.holds] == []


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_in_any_order_through_stripe(shop: Shop) -> None:
    AnyOrder.shop, AnyOrder.loop = shop, asyncio.get_running_loop()
    AnyOrder.steps = Counter()
    while AnyOrder.steps["steps"] < STEPS:
        await asyncio.to_thread(_walk)
    print(dict(AnyOrder.steps))  # noqa: T201 - seen with -s
    assert AnyOrder.steps["steps"] >= STEPS


def _walk() -> None:
    run_state_machine_as_test(
        AnyOrder,
        settings=settings(
            max_examples=STEPS // WALK + 1,
            stateful_step_count=WALK,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
