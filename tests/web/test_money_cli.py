"""`encore money` as an operator runs it: its words, its exit codes."""

import asyncio
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner, Result

from core.auth.models import Platform, User
from core.db import Database, raw_connection
from core.errors import Problem
from core.migrate import upgrade
from payouts.balance_transactions import record_line
from payouts.leaving import leave
from payouts.wallets import holdings_of
from tests.factories import make_platform, make_user
from tests.payouts.tills import charge, make_till
from tests.polling import eventually, is_waited_for
from web.cli import app

pytestmark = pytest.mark.slow


async def encore(url: str, *arguments: str) -> Result:
    """On a thread, for the command has its own loop."""
    runner = CliRunner(env={"DATABASE_URL": url, "COLUMNS": "120"})
    return await asyncio.to_thread(lambda: runner.invoke(app, ["money", *arguments]))


async def test_the_books_as_an_operator_sees_them(empty_url: str) -> None:
    await upgrade(empty_url)
    database = Database(empty_url)
    async with database.transaction() as session:
        till = await make_till(session)
        await till.buy()
        await till.tip(100)
        slug = (await session.get_one(Platform, till.platform_id)).slug
    good = await encore(empty_url, "check")
    assert (good.exit_code, good.stdout.count("OK ")) == (0, 11)
    async with database.transaction() as session:
        line = charge(42, 0)
        await record_line(session, till.platform_id, line)
    await database.close()
    bad = await encore(empty_url, "check", "--platform", slug)
    assert (bad.exit_code, bad.stdout.count("OK "), bad.stdout.count("FAIL")) == (1, 10, 1)
    assert f"{line.id} charge : 42 USD" in bad.stdout
    balance = await encore(empty_url, "trial-balance")
    assert ["stars_liability", "USD", "1.39", "6.99", "-5.60"] in [
        line.split() for line in balance.stdout.splitlines()
    ]
    last = [line.split() for line in balance.stdout.splitlines()[-2:]]
    assert [(line[0], line[1], line[-1]) for line in last] == [
        ("total", "USD", "0.00"), ("total", "XST", "0"),
    ]  # fmt: skip
    month = f"{datetime.now(UTC):%Y-%m}"
    said = await encore(empty_url, "statement", str(till.creators[0]), "--month", month)
    assert [line.split() for line in said.stdout.splitlines()[1:]] == [
        ["Opening", "0.00", "0.00"], ["Tips", "1", "1.00", "0.00"], ["Closing", "1.00", "0.00"],
        ["of", "tips:", "no", "room", "1.00"],
    ]  # fmt: skip
    as_csv = await encore(empty_url, "statement", str(till.creators[0]), "--month", month, "--csv")
    assert as_csv.stdout.splitlines()[-1] == "of tips: no room,,1.00,"
    for arguments, code in (
        (("check", "--platform", "nobody"), "platform_unknown"),
        (("statement", "me", "--month", month), "person_unknown"),
        (("statement", str(till.listener), "--month", month), "creator_unknown"),
        (("statement", str(till.listener), "--month", "soon"), "no_month"),
        (("leave", str(till.creators[0])), "not_confirmed"),
        (("refund", "ch_nobody"), "order_unknown"),
    ):
        refused = (await encore(empty_url, *arguments)).exception
        assert isinstance(refused, Problem)
        assert refused.code == code


async def test_presents_and_a_farewell(empty_url: str) -> None:
    """By address, in whatever case; a present of one campaign comes once."""
    await upgrade(empty_url)
    database = Database(empty_url)
    async with database.transaction() as session:
        slug = (platform := await make_platform(session)).slug
        user = await make_user(session, platform, email="ada@example.org")
        twin = await make_user(session, await make_platform(session), email="ada@example.org")
    gift = ("give", "Ada@example.org", "50", "--campaign", "spring")
    several = (await encore(empty_url, *gift)).exception
    assert isinstance(several, Problem)
    assert "name one with --platform" in several.detail
    said = [(await encore(empty_url, *gift, "--platform", slug)).stdout for _ in range(2)]
    assert said == ["They have 50 Stars more.\n", "They had these before; nothing new.\n"]
    assert (await encore(empty_url, "leave", str(user.id), "--yes")).exit_code == 0
    gone = await encore(empty_url, "give", str(user.id), "1", "--campaign", "summer")
    assert isinstance(gone.exception, Problem)
    assert gone.exception.detail.endswith("has left.")
    async with database.transaction() as session:
        owner = {"platform_id": user.platform_id, "user_id": user.id}
        assert (await holdings_of(session, **owner)).stars == 50
        assert (await session.get_one(User, user.id)).email is None
        assert (await session.get_one(User, twin.id)).email == "ada@example.org"
    await database.close()
    assert (await encore(empty_url, "check")).exit_code == 0


async def test_nothing_is_given_to_somebody_who_is_leaving(empty_url: str) -> None:
    """Who has not left yet when the command looks, and has once the Stars would be theirs."""
    await upgrade(empty_url)
    database = Database(empty_url)
    async with database.transaction() as session:
        user = await make_user(session, await make_platform(session))
    owner = {"platform_id": user.platform_id, "user_id": user.id}
    async with database.transaction() as session:
        await leave(session, **owner)
        raw = await raw_connection(session)
        gift = ("give", str(user.id), "50", "--campaign", "spring")
        giving = asyncio.create_task(encore(empty_url, *gift))

        async def waits_or_is_done() -> bool:
            return giving.done() or await is_waited_for(raw)

        await eventually(waits_or_is_done, within_s=30)
    gone = (await giving).exception
    assert isinstance(gone, Problem)
    assert gone.code == "person_unknown"
    async with database.transaction() as session:
        assert (await holdings_of(session, **owner)).stars == 0
    await database.close()
