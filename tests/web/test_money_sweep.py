"""`encore money sweep` against the sandbox, and what refuses to start with the wrong key."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from core.authorities import authorities
from core.db import Database
from core.migrate import upgrade
from core.settings import Settings
from payouts import alerts
from payouts.books import open_books
from payouts.cashier import Cashier, open_cashier
from payouts.gateway_models import ConnectedAccount
from payouts.modes import WrongMode
from payouts.onboarding import refresh_account
from payouts.sandbox.process import Options, serving
from payouts.stripe_facts import TransferIntent
from tests.payouts.tills import Till, make_till
from web.cli import app
from web.doctor import CHECKS

KEY = "sk_test_" + "k" * 32
pytestmark = pytest.mark.slow


@dataclass
class Books:
    cashier: Cashier
    stripe: httpx.AsyncClient

    async def control(self, act: str, **asked: object) -> None:
        (await self.stripe.post(f"/_control/{act}", json=asked)).raise_for_status()

    async def onboard(self, till: Till) -> str:
        """The first creator's account, which can be transferred to."""
        made = await self.cashier.gateway.create_account(key="onboard", metadata={})
        await self.control("accounts/enable", id=made.id)
        async with self.cashier.database.transaction() as session:
            row = ConnectedAccount(
                platform_id=till.platform_id,
                user_id=till.creators[0],
                livemode=False,
                account=made.id,
            )
            session.add(row)
        await refresh_account(self.cashier, made.id)
        return made.id

    async def encore(self, *arguments: str, key: str = KEY) -> Result:
        settings = self.cashier.settings
        assert settings.database_url is not None
        environment = {
            "DATABASE_URL": settings.database_url.get_secret_value(),
            "ENCORE_STRIPE_KEY": key,
            "ENCORE_STRIPE_BASE": settings.stripe_base if key == KEY else None,
            "COLUMNS": "200",
        }
        runner = CliRunner(env=environment)
        return await asyncio.to_thread(lambda: runner.invoke(app, ["money", *arguments]))


@pytest.fixture
async def books(empty_url: str, tmp_path: Path) -> AsyncIterator[Books]:
    await upgrade(empty_url)
    async with serving(Options(data=tmp_path, key=KEY)) as world:
        settings = Settings(
            _env_file=None,
            database_url=SecretStr(empty_url),
            stripe_key=SecretStr(KEY),
            stripe_base=world.base_url,
        )
        database = Database(empty_url)
        cashier = open_cashier(settings, database)
        assert cashier is not None
        async with database.transaction() as session:
            await open_books(session, settings)
        bearer = {"Authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(
            base_url=world.base_url, headers=bearer, verify=authorities()
        ) as stripe:
            yield Books(cashier, stripe)
        await cashier.gateway.close()
        await database.close()


async def test_what_has_matured_is_paid_on_demand(books: Books) -> None:
    async with books.cashier.database.transaction() as session:
        till = await make_till(session)
        await till.buy(3000, 4194)
        await till.tip(3000)
    unready = await books.encore("sweep", "--dry-run")
    assert unready.stdout.splitlines()[1:] == ["1 waiting who are not set up to be paid"]
    account = await books.onboard(till)
    await books.control("balance/adjust", amount=100_000, currency="usd")
    nothing = await books.encore("sweep")
    assert (nothing.exit_code, nothing.stdout) == (0, "0 transfers, 0.00 USD\n")

    await books.control("clock", advance_seconds=15 * 86_400)
    row = [str(till.creators[0]), account, "30.00"]
    dry = await books.encore("sweep", "--dry-run")
    assert (dry.exit_code, dry.stdout.splitlines()[1].split()) == (0, row)
    paid = await books.encore("sweep")
    assert paid.exit_code == 0
    assert paid.stdout.splitlines()[1].split() == row
    assert "1/1" in paid.stdout.splitlines()[-1]
    assert "made, tr_" in paid.stdout.splitlines()[-1]
    async with books.cashier.database.transaction() as session:
        till.session = session
        await till.buy()
        await till.tip(10)  # matured: the clock is ahead
    again = await books.encore("sweep")
    assert (again.exit_code, again.stdout.splitlines()) == (
        0, ["0 transfers, 0.00 USD", "1 waiting with 0.10 USD: less than 25.00 USD each"],
    )  # fmt: skip
    held = await books.encore("check")
    assert (held.exit_code, held.stdout.count("OK ")) == (0, 11), held.stdout


async def test_a_transfer_that_is_refused_is_said(books: Books) -> None:
    async with books.cashier.database.transaction() as session:
        till = await make_till(session)
        await till.buy(3000, 4194)
        await till.tip(3000)
    await books.onboard(till)
    await books.control("clock", advance_seconds=15 * 86_400)
    refused = await books.encore("sweep")
    assert refused.exit_code == 1
    assert "refused, balance_insufficient" in refused.stdout
    async with books.cashier.database.transaction() as session:
        dates = sa.select(TransferIntent.created_at, TransferIntent.settled_at)
        [(intended, ended)] = (await session.execute(dates)).all()
        assert ended is not None
        assert intended < ended, "by one clock, so that a month's statement has both"
    await books.control("balance/adjust", amount=100_000, currency="usd")
    assert (await books.encore("sweep")).exit_code == 0


@pytest.mark.parametrize("key", ["sk_live_" + "k" * 32, "pk_test_" + "k" * 32, "nonsense"])
async def test_no_other_mode_gets_into_the_books(books: Books, key: str) -> None:
    refused = await books.encore("sweep", key=key)
    assert isinstance(refused.exception, WrongMode)
    assert "\n" not in refused.exception.detail


async def test_what_is_set_aside_waits_for_somebody(books: Books) -> None:
    async with books.cashier.database.transaction() as session:
        await alerts.set_aside(session, "foreign_charge", "ch_1")
    secrets = {"stripe_webhook_secrets": SecretStr("whsec_1")}
    settings = books.cashier.settings.model_copy(update=secrets)
    shown = (await books.encore("check")).stdout
    assert "ch_1  foreign_charge" in shown
    assert "foreign_charge: not of Encore" in shown
    fit, said = await asyncio.to_thread(CHECKS["money"], settings)
    assert (fit, "1 thing of Stripe's waits" in said) == (False, True)
    ended = await books.encore("resolve", "ch_1", "--because", "a test of the dashboard")
    assert ended.stdout == "1 resolved\n"
    assert "LOOK" not in (await books.encore("check")).stdout
    assert await asyncio.to_thread(CHECKS["money"], settings) == (True, "test money")
    live = settings.model_copy(update={"stripe_key": SecretStr("sk_live_" + "k" * 32)})
    unfit = await asyncio.to_thread(CHECKS["money"], live)
    assert (unfit[0], "set ENCORE_SELLER" in unfit[1]) == (False, True)
    again = await books.encore("resolve", "ch_1", "--because", "again")
    assert isinstance(again.exception, alerts.NothingSetAside)


async def test_a_creator_who_leaves_unpaid_is_not_income(books: Books) -> None:
    async with books.cashier.database.transaction() as session:
        till = await make_till(session)
        await till.buy()
        await till.tip(50)
    assert (await books.encore("leave", str(till.creators[0]), "--yes")).exit_code == 0
    await books.control("clock", advance_seconds=15 * 86_400)
    assert (await books.encore("sweep")).exit_code == 0
    balance = (await books.encore("trial-balance")).stdout.splitlines()
    assert ["unclaimed", "USD", "0.00", "0.50", "-0.50"] in [line.split() for line in balance]
