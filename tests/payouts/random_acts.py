"""What can happen between Encore and Stripe, as acts for random walks (test_any_order_at_stripe).

The acts play the network too: they take the events that the sandbox made and deliver them in any
order, several times, or never.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, TypeVar

from stripe import WebhookSignature

from payouts import invariants
from payouts.reconcile import reconcile
from payouts.sandbox.store import Object
from payouts.spending import StarsMissing, WalletFrozen
from payouts.sweep import sweep
from tests.factories import make_platform
from tests.payouts.shop import CONNECT_SECRET, PLATFORM_SECRET, Person, Shop

GOOD, DECLINED = "4242 4242 4242 4242", "4000 0000 0000 0002"
DAY: Final = 86_400
MATURED: Final = timedelta(days=30)
LOST: Final = timedelta(hours=2)
"""After so long reconciliation finds an event whose job was lost."""

T = TypeVar("T")

SINCE: Final = "select place, body from objects where kind = 'event' and place > ? order by place"
NEWEST: Final = "select max(place) as place from objects"
THERE: Final = """
select kind, id, account, body ->> 'destination' as destination,
  coalesce(body ->> 'amount', 0) - coalesce(body ->> 'amount_refunded', 0)
    - coalesce(body ->> 'amount_reversed', 0) as left,
  case kind
    when 'charge' then account = ? and body ->> 'paid' and not body ->> 'disputed'
    when 'refund' then body ->> 'status' <> 'failed'
    when 'dispute' then body ->> 'status' = 'needs_response'
    when 'payout' then body ->> 'status' not in ('failed', 'canceled')
    else 1 end as can
from objects where place > ? and kind in ('charge', 'refund', 'dispute', 'transfer', 'payout')
order by place
"""


def one_of(there: Sequence[T], number: int) -> T:
    return there[number % len(there)]


@dataclass(frozen=True)
class Seen:
    """An object of Stripe's to which something can still happen; `left` of its amount."""

    id: str
    account: str
    destination: str | None
    left: int


@dataclass
class Walk:
    """One random walk on a platform of its own: two buyers and two creators, what they have done,
    and the events that Stripe has not delivered yet."""

    shop: Shop
    buyers: list[Person]
    creators: list[Person]
    began: int
    """Place of the last object in the sandbox that is not of this walk."""
    seen: int
    orders: list[tuple[Person, Object]] = field(default_factory=list)
    tips: list[tuple[Person, Person, int, str]] = field(default_factory=list)
    untold: list[Object] = field(default_factory=list)
    told: list[Object] = field(default_factory=list)
    open: dict[str, list[Seen]] = field(default_factory=dict)
    made: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    """Steps by what they were."""

    async def look(self) -> None:
        """Reads what Stripe has now; adds its new events to those that are not delivered."""
        sql = self.shop.world.store.sql
        for row in sql.execute(SINCE, (self.seen,)).fetchall():
            self.untold.append(json.loads(row["body"]))
            self.seen = row["place"]
        there = sql.execute(THERE, (self.shop.world.platform, self.began)).fetchall()
        made = Counter(row["kind"] for row in there)
        self.done += {kind: (made - self.made)[kind] for kind in ("transfer", "payout")}
        self.made, self.open = made, {}
        for row in there:
            if row["can"] and row["left"] > 0:
                each = Seen(row["id"], row["account"], row["destination"], row["left"])
                self.open.setdefault(row["kind"], []).append(each)

    async def hold(self) -> None:
        """Asserts all eleven invariants, for this walk's platform."""
        async with self.shop.database.transaction() as session:
            platform_id = self.buyers[0].user.platform_id
            found = await invariants.check(session, platform_id)
        assert len(found) == 11
        assert [each for each in found if not each.holds] == []

    async def rest(self) -> None:
        """No more events are delivered: reconciliation alone must make both books agree, when what
        was under way has ended, and again when that has been paid out."""
        await self.shop.control("faults/clear")
        await self.shop.work()
        await self.shop.grow_old(LOST)
        await self.shop.agree()
        await self.shop.control("clock", advance_seconds=15 * DAY)
        await self.shop.settle()
        await self.shop.agree()
        await self.hold()
        await self.shop.disconnect([creator.user.id for creator in self.creators])


async def begin_walk(shop: Shop) -> Walk:
    began = _newest(shop)
    async with shop.database.transaction() as session:
        platform = await make_platform(session)
    people = [await shop.person(platform) for _ in range(4)]
    for creator in people[2:]:
        await shop.onboard(creator)
    await shop.bought(people[0], "usd-1000")
    await shop.control("faults/webhooks", action="drop", count=10**6)
    return Walk(shop, people[:2], people[2:], began, _newest(shop))


def _newest(shop: Shop) -> int:
    return int(shop.world.store.sql.execute(NEWEST).fetchone()["place"])


Do = Callable[[Walk, int], Coroutine[Any, Any, str | None]]
Can = Callable[[Walk], object]


@dataclass(frozen=True)
class Act:
    """`do` takes a number that decides to whom and how it happens, and returns what came of it
    if that is not the act's own. `can` tells whether there is anything it could happen to."""

    name: str
    do: Do
    can: Can


ACTS: Final = list[Act]()


def act(can: Can = lambda walk: True, *, often: int = 1) -> Callable[[Do], Do]:
    """Named by its function; `often` as likely as others."""

    def register(do: Do) -> Do:
        ACTS.extend([Act(do.__name__.replace("_", " "), do, can)] * often)
        return do

    return register


@act()
async def buy(walk: Walk, number: int) -> str | None:
    buyer, card = one_of(walk.buyers, number), DECLINED if number % 5 == 4 else GOOD
    order = await walk.shop.order(buyer, one_of(["usd-500", "usd-1000"], number // 2))
    await walk.shop.pay(order["checkout_url"], card)
    walk.orders.append((buyer, order))
    return "buy declined" if card == DECLINED else None


@act(often=6)
async def tip(walk: Walk, number: int) -> str | None:
    payer, creator = one_of(walk.buyers, number), one_of(walk.creators, number // 2)
    stars, key = 1 + number % 300, f"tip:{walk.began}:{len(walk.tips)}:{number}"
    had = (await walk.shop.wallet(payer)).stars
    at = walk.shop.now - (MATURED if number // 4 % 2 else timedelta())
    try:
        await walk.shop.tip(payer, creator, stars, key=key, at=at)
    except (StarsMissing, WalletFrozen):
        assert (await walk.shop.wallet(payer)).stars == had
        return "tip refused"
    assert (await walk.shop.wallet(payer)).stars == had - stars
    walk.tips.append((payer, creator, stars, key))
    return None


@act(lambda walk: walk.tips, often=2)
async def tip_again(walk: Walk, number: int) -> None:
    payer, creator, stars, key = one_of(walk.tips, number)
    had = await walk.shop.wallet(payer)
    await walk.shop.tip(payer, creator, stars, key=key)
    assert await walk.shop.wallet(payer) == had


@act(lambda walk: walk.orders, often=2)
async def refund(walk: Walk, number: int) -> str | None:
    """Every other time Stripe is asked for it at once."""
    buyer, order = one_of(walk.orders, number)
    url = f"/orders/{order['id']}/refunds"
    answer = await walk.shop.http.post(url, headers=buyer.headers)
    assert answer.status_code in (202, 409, 429), answer.text  # so often they may ask
    if answer.status_code != 202:
        return "refund refused"
    if number % 2:
        await walk.shop.work()
    return None


@act(lambda walk: "refund" in walk.open, often=4)
async def refund_fails(walk: Walk, number: int) -> None:
    await walk.shop.control("refunds/fail", id=one_of(walk.open["refund"], number).id)


@act(lambda walk: "charge" in walk.open)
async def dispute(walk: Walk, number: int) -> None:
    charge = one_of(walk.open["charge"], number)
    amount = max(1, charge.left // (1 + number % 4))
    await walk.shop.control("disputes", charge=charge.id, amount=amount)


@act(lambda walk: "dispute" in walk.open)
async def dispute_won(walk: Walk, number: int) -> None:
    name = one_of(walk.open["dispute"], number).id
    await walk.shop.control("disputes/settle", dispute=name, won=True)


@act(lambda walk: "dispute" in walk.open)
async def dispute_lost(walk: Walk, number: int) -> None:
    name = one_of(walk.open["dispute"], number).id
    await walk.shop.control("disputes/settle", dispute=name, won=False)


@act(often=2)
async def time_passes(walk: Walk, number: int) -> None:
    """Transfers are paid out on the way, disputes that nobody answered are lost."""
    await walk.shop.control("clock", advance_seconds=one_of([1, 3, 15], number) * DAY)


@act(lambda walk: "transfer" in walk.open, often=2)
async def transfer_reversed(walk: Walk, number: int) -> str | None:
    transfer = one_of(walk.open["transfer"], number)
    lies = await walk.shop.lies_at(str(transfer.destination))
    amount = min(lies, max(1, transfer.left // (1 + number % 4)))
    if amount < 1:
        return "transfer stays"
    back = walk.shop.cashier.gateway._v1.transfers.reversals  # the dashboard's button
    await back.create_async(transfer.id, {"amount": amount})
    return None


@act(lambda walk: "payout" in walk.open, often=3)
async def payout_fails(walk: Walk, number: int) -> None:
    payout = one_of(walk.open["payout"], number)
    await walk.shop.control("payouts/fail", id=payout.id)
    await walk.shop.control("accounts/enable", id=payout.account)


@act(lambda walk: walk.untold, often=5)
async def event(walk: Walk, number: int) -> None:
    """Any of them, so in any order."""
    told = walk.untold.pop(number % len(walk.untold))
    walk.told.append(told)
    await _tell(walk, told)


@act(lambda walk: walk.untold)
async def event_twice_at_once(walk: Walk, number: int) -> None:
    told = walk.untold.pop(number % len(walk.untold))
    walk.told.append(told)
    await asyncio.gather(_tell(walk, told), _tell(walk, told))


@act(lambda walk: walk.told, often=2)
async def event_again(walk: Walk, number: int) -> None:
    await _tell(walk, one_of(walk.told, number))


@act(lambda walk: walk.untold, often=2)
async def event_lost(walk: Walk, number: int) -> None:
    walk.untold.pop(number % len(walk.untold))


async def _tell(walk: Walk, told: Object) -> None:
    body = json.dumps(told)
    secret = CONNECT_SECRET if told.get("account") else PLATFORM_SECRET
    header = WebhookSignature.generate_signature_header(body, secret)
    headers = {"Stripe-Signature": header}
    answer = await walk.shop.http.post("/stripe/webhooks", content=body, headers=headers)
    assert answer.status_code == 204


@act(often=4)
async def jobs_run(walk: Walk, number: int) -> None:
    await walk.shop.work()


@act()
async def jobs_lost(walk: Walk, number: int) -> None:
    await walk.shop.forget_jobs()


@act(often=2)
async def sweep_pays(walk: Walk, number: int) -> None:
    """Every other time the transfers are made at once."""
    await sweep(walk.shop.cashier)
    if number % 2:
        await walk.shop.work()


@act()
async def reconciled(walk: Walk, number: int) -> None:
    await reconcile(walk.shop.cashier)
