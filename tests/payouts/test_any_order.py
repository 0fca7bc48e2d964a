"""Whatever happens, in whatever order, however often it is told: the books hold after each step,
and the wallet has what it should; with amounts that Stripe would not have come to by itself.

What Stripe and its webhooks make of it is in test_any_order_at_stripe.
"""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeVar
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from core.db import Database
from payouts import invariants, lot_disputes, lot_returns, purchases, transfers
from payouts.claim_models import LotReturn, ReturnState
from payouts.creators import creator_left
from payouts.ledger import Booked
from payouts.lot_returns import NothingUnused, ReturnSettled
from payouts.postings import Share
from payouts.spending import StarsMissing, Tip, WalletFrozen
from payouts.stripe_facts import IntentState, TransferIntent
from payouts.transfers import IntentSettled
from tests.payouts.booking import book_tip
from tests.payouts.tills import TERMS, Till, charge, make_till

STEPS = 400
EXAMPLES = 5
MARGIN = 15
"""Some walks end early."""

pick = st.integers(0, 10**6)
Result = TypeVar("Result")
T = TypeVar("T")


def one_of(there: list[T], number: int) -> T:
    return there[number % len(there)]


class AnyOrder(RuleBasedStateMachine):
    """One listener, three creators, a clock of its own; `stars` is what the wallet should hold."""

    database: ClassVar[Database]
    runner: ClassVar[asyncio.Runner]
    steps: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.stars = 0
        self.lots: list[UUID] = []
        self.tips: list[str] = []
        self.returns: list[UUID] = []
        self.disputes: dict[str, int] = {}
        self.closed: dict[str, bool] = {}
        self.intents: list[TransferIntent] = []
        self.run(self._begin())

    def run(self, step: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(step)

    async def _begin(self) -> None:
        self.connection: AsyncConnection = await self.database.engine.connect()
        self.transaction = await self.connection.begin()
        session = AsyncSession(bind=self.connection, expire_on_commit=False)
        self.till: Till = await make_till(session, creators=3)
        self.session, self.platform = session, self.till.platform_id

    def teardown(self) -> None:
        async def end() -> None:
            await self.session.close()
            await self.transaction.rollback()
            await self.connection.close()

        self.run(end())

    @property
    def frozen(self) -> bool:
        return len(self.disputes) > len(self.closed)

    @rule(stars=st.integers(1, 600), cents=st.integers(0, 900), tax=st.integers(0, 60))
    def buy(self, stars: int, cents: int, tax: int) -> None:
        paid = charge(stars + cents + tax, 50, at=self.now)
        key = f"purchase:{uuid4()}"
        for _ in range(2):
            booked = self.run(
                purchases.book_purchase(
                    self.session,
                    platform_id=self.platform,
                    user_id=self.till.listener,
                    key=key,
                    stars=stars,
                    charge=paid,
                    tax_minor=tax,
                )
            )
        self.lots.append(booked.transaction_id)
        self.stars += stars

    @rule(stars=st.integers(1, 50))
    def grant(self, stars: int) -> None:
        self.run(self.till.grant(stars))
        self.stars += stars

    @rule(stars=st.integers(1, 300), weights=st.lists(st.integers(0, 5), min_size=1, max_size=3))
    def tip(self, stars: int, weights: list[int]) -> None:
        key = f"tip:{uuid4()}"
        shares = [
            Share(creator, weight + (number == 0))
            for number, (creator, weight) in enumerate(
                zip(self.till.creators, weights, strict=False)
            )
        ]
        try:
            booked = self.run(self._tip(key, stars, shares))
        except WalletFrozen:
            assert self.frozen
        except StarsMissing:
            assert self.stars < stars
        else:
            assert booked.new
            assert not self.frozen
            self.stars -= stars
            self.tips.append(key)

    @precondition(lambda self: self.tips)
    @rule(number=pick)
    def tip_again(self, number: int) -> None:
        key = one_of(self.tips, number)
        assert not self.run(self._tip(key, 1, [Share(self.till.creators[0])])).new

    async def _tip(self, key: str, stars: int, shares: list[Share]) -> Booked:
        tip = Tip(self.till.listener, key, stars, shares, at=self.now)
        return await book_tip(self.session, platform_id=self.platform, tip=tip, terms=TERMS)

    @precondition(lambda self: self.lots)
    @rule(number=pick)
    def ask_for_a_refund(self, number: int) -> None:
        asked = lot_returns.request_return(
            self.session,
            platform_id=self.platform,
            user_id=self.till.listener,
            lot_id=one_of(self.lots, number),
            at=self.now,
        )
        try:
            made = self.run(asked)
        except WalletFrozen:
            assert self.frozen
        except NothingUnused:
            pass
        else:
            self.returns.append(made.id)
            self.stars -= made.stars

    @precondition(lambda self: self.returns)
    @rule(number=pick, paid=st.booleans(), differs=st.integers(-3, 3))
    def end_a_refund(self, number: int, paid: bool, differs: int) -> None:
        self.run(self._end_return(one_of(self.returns, number), paid, differs))

    async def _end_return(self, return_id: UUID, paid: bool, differs: int) -> None:
        made = await self.session.get_one(LotReturn, return_id)
        before, money = made.state, made.cash_minor + made.tax_minor
        try:
            if paid:
                line = charge(differs - money, 0, kind="refund", at=self.now)
                await lot_returns.return_succeeded(self.session, return_id=return_id, line=line)
            else:
                was_paid = before is ReturnState.SUCCEEDED
                back = charge(money, 0, kind="refund_failure", at=self.now)
                await lot_returns.return_failed(
                    self.session, return_id=return_id, line=back if was_paid else None, at=self.now
                )
        except ReturnSettled:
            assert before is ReturnState.FAILED
            return
        if not paid and before is not ReturnState.FAILED:
            await lot_disputes.revoke_returned(self.session, return_id=return_id)
            self.stars += made.stars
            assert 0 <= self.stars - await self.till.wallet() <= made.stars
            self.stars = await self.till.wallet()

    @precondition(lambda self: self.lots)
    @rule(number=pick, amount=st.integers(1, 1500), late=st.integers(0, 20))
    def dispute(self, number: int, amount: int, late: int) -> None:
        """Told of so many days later."""
        name = f"dp_{uuid4().hex}"
        line = charge(-amount, 1500, kind="adjustment", at=self.now - timedelta(days=late))
        for _ in range(2):
            self.run(
                lot_disputes.open_dispute(
                    self.session,
                    platform_id=self.platform,
                    user_id=self.till.listener,
                    lot_id=one_of(self.lots, number),
                    stripe_dispute=name,
                    line=line,
                    at=self.now,
                )
            )
        self.disputes[name] = amount

    @precondition(lambda self: self.disputes)
    @rule(number=pick, won=st.booleans())
    def close_a_dispute(self, number: int, won: bool) -> None:
        name = one_of(list(self.disputes), number)
        try:
            self.run(self._close(name, won))
        except lot_disputes.DisputeClosed:
            assert self.closed[name] is not won
        else:
            if name not in self.closed and not won:
                self.stars = self.run(self.till.wallet())
            self.closed[name] = won

    async def _close(self, name: str, won: bool) -> None:
        if won:
            line = charge(self.disputes[name], 0, kind="adjustment", at=self.now)
            await lot_disputes.dispute_won(
                self.session, platform_id=self.platform, stripe_dispute=name, line=line
            )
        else:
            await lot_disputes.dispute_lost(
                self.session, platform_id=self.platform, stripe_dispute=name, at=self.now
            )

    @rule(days=st.integers(1, 20))
    def time_passes(self, days: int) -> None:
        self.now += timedelta(days=days)

    @rule(number=pick)
    def sweep(self, number: int) -> None:
        made = self.run(
            transfers.intend_transfer(
                self.session,
                platform_id=self.platform,
                creator_id=one_of(self.till.creators, number),
                destination="acct_1",
                currency=TERMS.currency,
                now=self.now,
            )
        )
        if made is not None:
            self.intents.append(made)

    @precondition(lambda self: self.intents)
    @rule(number=pick, made=st.booleans())
    def stripe_answers(self, number: int, made: bool) -> None:
        self.run(self._answer(one_of(self.intents, number), made))

    async def _answer(self, intent: TransferIntent, made: bool) -> None:
        before = intent.state
        try:
            if made:
                line = charge(-intent.amount_minor, 0, kind="transfer", at=self.now)
                if before is IntentState.OPEN:
                    await transfers.transfer_confirmed(
                        self.session, intent_id=intent.id, stripe_transfer=f"tr_{intent.id}",
                        line=line,
                    )  # fmt: skip
            else:
                await transfers.transfer_refused(
                    self.session, intent_id=intent.id, error_code="closed", at=self.now
                )
        except IntentSettled:
            assert before is IntentState.CONFIRMED

    @precondition(lambda self: any(i.state is IntentState.CONFIRMED for i in self.intents))
    @rule(number=pick, amount=pick)
    def a_transfer_comes_back(self, number: int, amount: int) -> None:
        there = [i for i in self.intents if i.amount_minor > i.reversed_minor and i.stripe_transfer]
        if there:
            intent = one_of(there, number)
            part = 1 + amount % (intent.amount_minor - intent.reversed_minor)
            line = charge(part, 0, kind="transfer_refund", at=self.now)
            for _ in range(2):
                self.run(
                    transfers.transfer_reversed(
                        self.session, intent_id=intent.id, reversal=f"trr_{line.id}", line=line
                    )
                )

    @precondition(lambda self: any(i.state is IntentState.CONFIRMED for i in self.intents))
    @rule(number=pick, fails=st.booleans())
    def a_payout(self, number: int, fails: bool) -> None:
        intent = one_of([i for i in self.intents if i.stripe_transfer], number)
        for book in (transfers.payout_paid, *([transfers.payout_failed] if fails else [])):
            self.run(
                book(
                    self.session,
                    platform_id=self.platform,
                    creator_id=intent.creator_id,
                    payout=f"po_{intent.id}",
                    account="acct_1",
                    amount_minor=intent.amount_minor,
                    currency=TERMS.currency,
                    at=self.now,
                )
            )

    @rule(number=st.integers(0, 40))
    def a_creator_leaves(self, number: int) -> None:
        if number == 2:
            self.run(
                creator_left(
                    self.session,
                    platform_id=self.platform,
                    creator_id=self.till.creators[number],
                    currency=TERMS.currency,
                    at=self.now,
                )
            )

    @invariant()
    def the_books_hold(self) -> None:
        type(self).steps += 1
        found = self.run(invariants.check(self.session, self.platform, now=self.now))
        assert [one for one in found if not one.holds] == []
        assert self.run(self.till.wallet()) == self.stars


@pytest.mark.slow
async def test_in_any_order(database: Database) -> None:
    AnyOrder.steps = 0
    while AnyOrder.steps < STEPS:
        await asyncio.to_thread(_run, database.url)


def _run(url: str) -> None:
    """In a loop of its own: rules are plain functions, what they call is not."""
    with asyncio.Runner() as runner:
        AnyOrder.database = Database(url)
        AnyOrder.runner = runner
        try:
            run_state_machine_as_test(
                AnyOrder,
                settings=settings(
                    max_examples=EXAMPLES,
                    stateful_step_count=STEPS // EXAMPLES + MARGIN,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(AnyOrder.database.close())
