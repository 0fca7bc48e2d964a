"""`encore money`: whether the books hold, what is in them, and a creator's month."""

import sys
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import Platform, User
from core.errors import Invalid, NotFound
from core.settings import Settings
from payouts import alerts, invariants, trial
from payouts.amounts import decimal, stars_said
from payouts.cashier import Cashier
from payouts.clock import money_now
from payouts.creators import has_left
from payouts.earned import Earner, titles_of
from payouts.invariants import Invariant
from payouts.leaving import LeftBehind, close_left, leave, left_behind
from payouts.models import Creator
from payouts.purchases import grant
from payouts.refunds import refund_again
from payouts.statements import Statement, as_csv, month_bounds, rows_of, statement
from payouts.stripe_facts import MoneyException
from payouts.trial import TrialLine, totals
from web.database import in_transaction
from web.sweeping import pay
from web.till import at_the_till

money = typer.Typer(no_args_is_help=True, help="The books: Stars, tips, transfers.")
console = Console(highlight=False, soft_wrap=True)

MOST_GIVEN = 1_000_000
"""At once."""

Who = Annotated[str, typer.Argument(help="Their email address, or their user ID.")]
Slug = Annotated[str | None, typer.Option("--platform", help="Its short name; else all of them.")]


class PlatformUnknown(NotFound):
    code = "platform_unknown"
    title = "There is no such platform"


class PersonUnknown(NotFound):
    code = "person_unknown"
    title = "There is nobody of this address or ID"


class CreatorUnknown(NotFound):
    code = "creator_unknown"
    title = "They have earned nothing"


class NotConfirmed(Invalid):
    code = "not_confirmed"
    title = "There is no terminal to ask: give --yes"


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
    for reason in dict.fromkeys(each.reason for each in aside):
        if reason in alerts.TO_DO:
            console.print(f"         {reason}: {alerts.TO_DO[reason]}")
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


@money.command("refund")
def refund(
    thing: Annotated[str, typer.Argument(help="The ID of an order, of its charge or a refund.")],
    paid_by_hand: Annotated[
        bool, typer.Option("--paid-by-hand", help="Your bank has paid it: Stripe is not asked.")
    ] = False,
) -> None:
    """Give back what is unused of an order, to the card that it was paid with.

    A person does so at their wallet; this is for those who have left and whose bank refused it.
    """

    async def work(session: AsyncSession) -> str:
        made, order = await refund_again(session, thing, paid_by_hand=paid_by_hand)
        amount = decimal(made.amount_minor, order.currency)
        return f"{stars_said(made.stars)}, {amount} {order.currency}"

    said = in_transaction(work)
    how = "paid by hand" if paid_by_hand else "on the way; encore money check says if it fails"
    console.print(f"{said}: {how}.")


@money.command("give")
def give(
    person: Who,
    stars: Annotated[int, typer.Argument(min=1, max=MOST_GIVEN, help="How many.")],
    campaign: Annotated[str, typer.Option(help="What they are for: each person has them once.")],
    platform: Slug = None,
) -> None:
    """Give somebody promotional Stars, once for each campaign.

    They tip like others, and can't be given back. What they earn creators you pay (exp:promo).
    """
    settings = Settings()

    async def work(session: AsyncSession) -> bool:
        user = await _person(session, person, platform)
        if await has_left(session, platform_id=user.platform_id, user_id=user.id):
            raise PersonUnknown(f"{person!r} has left.")
        booked = await grant(
            session,
            platform_id=user.platform_id,
            user_id=user.id,
            key=f"promotion:{campaign}:{user.id}",
            stars=stars,
            currency=settings.settlement_currency,
            at=await money_now(session),
        )
        return booked.new

    given = in_transaction(work)
    console.print(
        f"They have {stars_said(stars)} more." if given else "They had these before; nothing new."
    )


@money.command("leave")
def let_go(
    person: Who,
    platform: Slug = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing.")] = False,
) -> None:
    """Let somebody go, for good: forget who it was, and pay what is theirs.

    Sweeps pay it as it matures, whatever the minimum. What can't be paid waits, unclaimed.
    """
    if not yes:
        _ask_whether(person, platform)

    async def work(session: AsyncSession) -> None:
        user = await _person(session, person, platform)
        await leave(session, platform_id=user.platform_id, user_id=user.id)

    in_transaction(work)
    console.print("They have left; sweeps pay what is theirs.")


def _ask_whether(person: str, platform: str | None) -> None:
    """With what would be lost. Raises NotConfirmed, typer.Abort."""
    if not sys.stdin.isatty():
        raise NotConfirmed
    currency = Settings().settlement_currency

    async def work(session: AsyncSession) -> tuple[str, LeftBehind]:
        user = await _person(session, person, platform)
        return user.display_name, await left_behind(
            session, Earner(user.platform_id, user.id, currency)
        )

    name, lost = in_transaction(work)
    unpaid = decimal(lost.unpaid_minor, currency)
    console.print(f"{escape(name)} loses {lost.stars} Stars, and {unpaid} {currency} stay unpaid.")
    typer.confirm("This can't be undone. Sure?", abort=True)


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
    """Print every kind of account and the total of each currency, whose balance is 0."""

    async def work(session: AsyncSession) -> list[TrialLine]:
        return await trial.trial_balance(session, await _platform(session, platform))

    table = Table(box=None, pad_edge=False)
    for title in ("Account", "", "Debit", "Credit", "Balance"):
        table.add_column(title, justify="left" if title in ("Account", "") else "right")
    lines = in_transaction(work)
    for line in [*lines, *totals(lines)]:
        sums = (line.debit, line.credit, line.debit - line.credit)
        table.add_row(
            line.account, line.currency, *(decimal(amount, line.currency) for amount in sums)
        )
    console.print(table)


@money.command("statement")
def print_statement(
    creator: Who,
    month: Annotated[str, typer.Option(help="YYYY-MM, in UTC.")],
    platform: Slug = None,
    csv: Annotated[bool, typer.Option("--csv", help="As CSV, for a spreadsheet.")] = False,
) -> None:
    """Print a creator's month: opening, each kind of movement, closing, and the tips by room."""
    month_bounds(month)
    currency = Settings().settlement_currency

    async def work(session: AsyncSession) -> tuple[str, Statement, dict[UUID, str]]:
        user = await _creator(session, creator, platform)
        owner = {"platform_id": user.platform_id, "creator_id": user.id}
        found = await statement(session, **owner, currency=currency, month=month)
        return user.display_name, found, await titles_of(session, [room for room, _ in found.rooms])

    name, found, titles = in_transaction(work)
    if csv:
        console.print(as_csv(found), end="", markup=False)
        return
    table = Table(box=None, pad_edge=False)
    so_far = "" if found.final else ", so far"
    table.add_column(escape(f"{name}, {month}, {found.currency}{so_far}"))
    for title in ("Count", "Owed", "On hold"):
        table.add_column(title, justify="right")
    for row in rows_of(found):
        table.add_row(*row)
    for room, owed in found.rooms:
        title = titles.get(room, str(room)) if room else "no room"
        table.add_row(escape(f"  of tips: {title}"), "", decimal(owed, currency), "")
    console.print(table)


async def _platform(session: AsyncSession, slug: str | None) -> UUID | None:
    if slug is None:
        return None
    found = await session.scalar(sa.select(Platform.id).where(Platform.slug == slug))
    if found is None:
        raise PlatformUnknown(f"There is no platform {slug!r}.")
    return found


async def _person(session: AsyncSession, given: str, platform: str | None) -> User:
    """By ID, or by address: of the platform that is named, or of the only one that has it."""
    try:
        named = User.id == UUID(given)
    except ValueError:
        named = sa.func.lower(User.email) == given.strip().lower()
    wanted = await _platform(session, platform)
    mine = named if wanted is None else sa.and_(named, User.platform_id == wanted)
    found = (await session.scalars(sa.select(User).where(mine).limit(2))).all()
    if not found:
        raise PersonUnknown(f"There is nobody of the address or ID {given!r}.")
    if len(found) > 1:
        raise PersonUnknown(f"{given!r} is known to several platforms: name one with --platform.")
    return found[0]


async def _creator(session: AsyncSession, given: str, platform: str | None) -> User:
    user = await _person(session, given, platform)
    if await session.get(Creator, (user.platform_id, user.id)) is None:
        raise CreatorUnknown(f"{given!r} has earned nothing.")
    return user
