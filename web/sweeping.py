"""A sweep as an operator watches it: what is due, who waits, then each transfer as it is made."""

from collections.abc import Sequence
from uuid import UUID

from rich.console import Console
from rich.table import Table

from core.errors import Unavailable
from core.settings import Settings
from payouts import sweep
from payouts.amounts import decimal
from payouts.cashier import Cashier
from payouts.stripe_facts import IntentState, TransferIntent
from payouts.sweep import Due, Waiting

LATER = "later: Stripe did not say how it went, the workers go on with it"


async def pay(
    cashier: Cashier, console: Console, *, platform_id: UUID | None, dry_run: bool
) -> bool:
    """Ends transfers that were left open, then pays who is due; whether all were made."""
    async with cashier.database.transaction() as session:
        left = await sweep.open_intents(session, platform_id)
        due = await sweep.due(session, cashier.settings, platform_id=platform_id)
        passed = await sweep.waiting(session, cashier.settings, platform_id=platform_id)
    _show(console, left, due, cashier.settings.settlement_currency)
    _explain(console, passed, cashier.settings)
    if dry_run:
        return True
    made = [await _end(cashier, console, intent, "again") for intent in left]
    for number, each in enumerate(due, start=1):
        intent = await sweep.intend(cashier, each)
        if intent is not None:
            made.append(await _end(cashier, console, intent, f"{number}/{len(due)}"))
    return all(made)


def _show(
    console: Console, left: Sequence[TransferIntent], due: Sequence[Due], currency: str
) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("Creator", "Account", currency):
        table.add_column(title, justify="right" if title == currency else "left")
    for intent in left:
        amount = decimal(intent.amount_minor, intent.currency)
        table.add_row(str(intent.creator_id), intent.destination, amount, "left open")
    for each in due:
        note = "their last" if each.leaving else ""
        amount = decimal(each.amount_minor, currency)
        table.add_row(str(each.creator_id), each.destination, amount, note)
    if table.row_count:
        console.print(table)
    total = sum(each.amount_minor for each in left) + sum(each.amount_minor for each in due)
    console.print(f"{table.row_count} transfers, {decimal(total, currency)} {currency}")


def _explain(console: Console, passed: Waiting, settings: Settings) -> None:
    """Why somebody is not among them."""
    if passed.below:
        currency = settings.settlement_currency
        less = f"{decimal(passed.below_minor, currency)} {currency}"
        minimum = f"{decimal(settings.sweep_minimum_minor, currency)} {currency}"
        console.print(f"{passed.below} waiting with {less}: less than {minimum} each")
    if passed.unready:
        console.print(f"{passed.unready} waiting who are not set up to be paid")


async def _end(cashier: Cashier, console: Console, intent: TransferIntent, which: str) -> bool:
    try:
        await sweep.make_transfer(cashier, intent.id)
    except Unavailable:
        said = LATER
    else:
        async with cashier.database.transaction() as session:
            intent = await session.get_one(TransferIntent, intent.id)
        said = {
            IntentState.CONFIRMED: f"made, {intent.stripe_transfer}",
            IntentState.REFUSED: f"refused, {intent.error_code}",
        }.get(intent.state, LATER)
    amount = decimal(intent.amount_minor, intent.currency)
    console.print(f"{which}  {intent.creator_id}  {amount} {intent.currency}  {said}")
    return intent.state is IntentState.CONFIRMED
