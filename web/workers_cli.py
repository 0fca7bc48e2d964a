"""`encore workers`: the receiving machines, and taking one out of service for a deploy."""

from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncSession

from ingest import fleet
from ingest.fleet import Member
from web.operators import in_transaction

workers = typer.Typer(no_args_is_help=True, help="Machines that receive rooms.")
console = Console(highlight=False, soft_wrap=True)

DAY_SECONDS = 24 * 60 * 60


@workers.command("list")
def list_workers(
    everybody: Annotated[
        bool, typer.Option("--all", help="Also those that were silent for a day.")
    ] = False,
) -> None:
    """Address, rooms, speakers, load, last sign of life and state of each worker."""
    found = in_transaction(fleet.members)
    shown = [m for m in found if everybody or m.rooms or m.heartbeat_age_s < DAY_SECONDS]
    table = Table(box=None, pad_edge=False)
    for title in ("id", "address", "rooms", "speakers", "load", "heartbeat", "state"):
        table.add_column(title, no_wrap=True)
    for member in shown:
        table.add_row(*_columns(member))
    console.print(table)


def _columns(member: Member) -> tuple[str, ...]:
    worker = member.worker
    return (
        str(worker.id),
        escape(worker.whip_url),
        str(member.rooms),
        str(worker.sessions),
        f"{member.load:.1f}",
        f"{member.heartbeat_age_s:.0f} s ago",
        _state(member),
    )


def _state(member: Member) -> str:
    if not member.alive:
        return "lost"
    if member.worker.moving:
        return "moving"
    return "draining" if member.worker.draining else "ready"


@workers.command("drain")
def drain(
    worker: Annotated[UUID, typer.Argument(help="As `encore workers list` names it.")],
    move: Annotated[
        bool, typer.Option("--move", help="Hand its rooms over to other workers now.")
    ] = False,
) -> None:
    """Give a worker no more rooms, until it starts again; those that it has end by themselves."""

    async def work(session: AsyncSession) -> list[Member]:
        await fleet.drain(session, worker, move=move)
        return await fleet.members(session)

    found = in_transaction(work)
    others = [m for m in found if m.alive and not m.worker.draining]
    own = next(m for m in found if m.worker.id == worker)
    console.print(f"Worker {worker} takes no more rooms; it has {own.rooms}.")
    if not others:
        console.print("No other worker takes rooms now: what it lets go of waits for one.")
