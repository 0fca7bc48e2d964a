"""`encore money`: whether the books hold, what is in them, and a creator's month."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import Platform
from core.errors import NotFound
from core.settings import Settings
from payouts import alerts, invariants, trial
from payouts.amounts import decimal
from payouts.cashier import Cashier
from payouts.invariants import Invariant
from payouts.leaving import close_left, leave
from payouts.models import Creator
from payouts.statements import Statement, as_csv, month_bounds, rows_of, statement
from payouts.stripe_facts import MoneyException
from payouts.trial import TrialLine
from web.database import in_transaction
from web.sweeping import pay
from web.till import at_the_till

money = typer.Typer(no_args_is_help=True, help="The books: Stars, tips, transfers.")
console = Console(highlight=False, soft_wrap=True)

Slug = Annotated[str | None, typer.Option("--platform", help="Its short name; else all of them.")]


class PlatformUnknown(NotFound):
    code = "platform_unknown"
    title = "There is no such platform"


class CreatorUnknown(NotFound):
    code = "creator_unknown"
    title = "Nobody of this ID has earned anything"


@money.command("check")
def check(platform: Slug = None) -> None:
    """Hold the books against the eleven invariants, one a line; exit code 1 when one fails."""

    async def work(session: AsyncSession) -> tuple[list[Invariant], Sequence[MoneyException]]:
        wanted = await _platform(session, platform)
        return await invariants.check(session, wanted), await alerts.waiting(session, wanted)

    found, aside = in_transaction(work)
    for one in found:
        mark = "[green]OK  [/green]" if one.holds else "[red]FAIL[/red]"
        console.print(f"{mark} {one.number:>2}  {one.says}")
        for broken in one.breaks:
            console.print(f"         {escape(broken)}")
    for each in aside:
        console.print(f"LOOK     {each.created_at:%Y-%m-%d %H:%M}  {each.object_id}  {each.reason}")
    if aside:
        console.print("What is to LOOK at moves no books; once it is clear: encore money resolve.")
    raise typer.Exit(0 if all(one.holds for one in found) else 1)


@money.command("resolve")
def resolve(
    thing: Annotated[str, typer.Argument(help="As `encore money check` calls it: txn_..., ch_...")],
    because: Annotated[str, typer.Option(help="What it was, for those who come after you.")],
) -> None:
    """Say how something of Stripe's was explained that no posting explains."""

    async def work(session: AsyncSession) -> int:
        return await alerts.resolve(session, thing, because=because)

    console.print(f"{in_transaction(work)} resolved")


@money.command("leave")
def let_go(creator: Annotated[str, typer.Argument(help="The creator's user ID.")]) -> None:
    """Let a creator go: forget who it was, pay what is theirs with the sweeps to come, whatever the
    minimum. What can't be paid waits, unclaimed."""

    async def work(session: AsyncSession) -> None:
        await leave(session, await _creator(session, creator))

    in_transaction(work)
    console.print("They have left; sweeps pay what is theirs.")


@money.command("sweep")
def pay_creators(
    platform: Slug = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be paid, and pay nothing.")
    ] = False,
) -> None:
    """Pay what has matured to every creator who can be paid, as the nightly sweep does.

    Transfers that were left open are ended first. Exit code 1 when not all were made.
    """

    async def work(cashier: Cashier) -> bool:
        async with cashier.database.transaction() as session:
            wanted = await _platform(session, platform)
        made = await pay(cashier, console, platform_id=wanted, dry_run=dry_run)
        if not dry_run:
            await close_left(cashier)
        return made

    raise typer.Exit(0 if at_the_till(work) else 1)


@money.command("trial-balance")
def trial_balance(platform: Slug = None) -> None:
    """Print every kind of account: debits, credits, balance. Each currency sums to 0."""

    async def work(session: AsyncSession) -> list[TrialLine]:
        return await trial.trial_balance(session, await _platform(session, platform))

    table = Table(box=None, pad_edge=False)
    for title in ("Account", "", "Debit", "Credit", "Balance"):
        table.add_column(title, justify="left" if title in ("Account", "") else "right")
    for line in in_transaction(work):
        sums = (line.debit, line.credit, line.debit - line.credit)
        table.add_row(
            line.account, line.currency, *(decimal(amount, line.currency) for amount in sums)
        )
    console.print(table)


@money.command("statement")
def print_statement(
    creator: Annotated[str, typer.Argument(help="The creator's user ID.")],
    month: Annotated[str, typer.Option(help="YYYY-MM, in UTC.")],
    csv: Annotated[bool, typer.Option("--csv", help="As CSV, for a spreadsheet.")] = False,
) -> None:
    """Print a creator's month: opening, each kind of movement, closing."""
    month_bounds(month)
    currency = Settings().settlement_currency

    async def work(session: AsyncSession) -> Statement:
        return await statement(
            session,
            platform_id=(found := await _creator(session, creator)).platform_id,
            creator_id=found.user_id,
            currency=currency,
            month=month,
        )

    found = in_transaction(work)
    if csv:
        console.print(as_csv(found), end="", markup=False)
        return
    table = Table(box=None, pad_edge=False)
    table.add_column(f"{month}, {found.currency}")
    for title in ("Count", "Owed", "On hold"):
        table.add_column(title, justify="right")
    for row in rows_of(found):
        table.add_row(*row)
    console.print(table)


async def _platform(session: AsyncSession, slug: str | None) -> UUID | None:
    if slug is None:
        return None
    found = await session.scalar(sa.select(Platform.id).where(Platform.slug == slug))
    if found is None:
        raise PlatformUnknown(f"There is no platform {slug!r}.")
    return found


async def _creator(session: AsyncSession, given: str) -> Creator:
    try:
        user_id = UUID(given)
    except ValueError:
        raise CreatorUnknown(f"{given!r} is not the ID of a user.") from None
    found = await session.scalar(sa.select(Creator).where(Creator.user_id == user_id))
    if found is None:
        raise CreatorUnknown(f"Nobody of the ID {user_id} has earned anything.")
    return found
