"""`encore workers`: the receiving machines, and taking one out of service for a deploy."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncSession

from ingest import fleet
from ingest.fleet import Member
from web.database import in_transaction

workers = typer.Typer(no_args_is_help=True, help="Machines that receive rooms.")
console = Console(highlight=False, soft_wrap=True)

DAY_SECONDS = 24 * 60 * 60
LIST_WIDTH = 4_000
"""Nothing is cut: the terminal wraps lines; all but the address fits in 80 columns."""

Id = Annotated[UUID, typer.Argument(metavar="ID", help="As `encore workers list` names it.")]


@workers.command("list")
def list_workers(
    everybody: Annotated[
        bool, typer.Option("--all", help="Also those that were silent for a day.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """State, rooms, speakers, load, last sign of life and address of each worker.

    ready: takes new rooms. draining: keeps its rooms and takes no more. moving: hands its rooms
    over to others. lost: gave no sign for as long as it promised; others take its rooms.
    """
    found = in_transaction(fleet.members)
    shown = [m for m in found if everybody or m.rooms or m.heartbeat_age_s < DAY_SECONDS]
    if as_json:
        console.print_json(data=[_as_json(member) for member in shown])
        return
    table = Table(box=None, pad_edge=False)
    for title in ("id", "state", "rooms", "speakers", "load", "heartbeat", "address"):
        right = title in ("rooms", "speakers", "load", "heartbeat")
        table.add_column(title, justify="right" if right else "left", no_wrap=True)
    for member in shown:
        table.add_row(*_columns(member))
    Console(highlight=False, soft_wrap=True, width=LIST_WIDTH).print(table)


def _columns(member: Member) -> tuple[str, ...]:
    return (
        str(member.worker.id),
        _state(member),
        str(member.rooms),
        str(member.worker.sessions),
        f"{member.load:.1f}",
        _ago(member.heartbeat_age_s),
        escape(member.worker.whip_url),
    )


def _as_json(member: Member) -> dict[str, Any]:
    return {
        "id": str(member.worker.id),
        "state": _state(member),
        "rooms": member.rooms,
        "speakers": member.worker.sessions,
        "load": round(member.load, 2),
        "heartbeat_age_s": round(member.heartbeat_age_s, 1),
        "address": member.worker.whip_url,
    }


def _ago(seconds: float) -> str:
    for unit, length in (("d", DAY_SECONDS), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def _state(member: Member) -> str:
    if not member.alive:
        return "lost"
    if member.worker.moving:
        return "moving"
    return "draining" if member.worker.draining else "ready"


@workers.command("drain")
def drain(
    worker: Id,
    move: Annotated[
        bool, typer.Option("--move", help="Hand its rooms over to other workers now.")
    ] = False,
) -> None:
    """Give a worker no more rooms; those that it has end by themselves.

    `encore workers undrain`, or a new start of the worker, takes it back.
    """
    own, others = _told(worker, lambda session: fleet.drain(session, worker, move=move))
    rooms = _rooms(own.rooms)
    what = f"hands over {rooms} now" if move else f"has {rooms}"
    console.print(f"Worker {worker} takes no more rooms; it {what}.")
    if others:
        return
    console.print(
        "No other worker takes rooms now: new rooms wait for one, and cannot be spoken in."
    )
    if move:
        console.print("What this one lets go of waits too.")


@workers.command("undrain")
def undrain(worker: Id) -> None:
    """Give a worker rooms again."""
    own, _ = _told(worker, lambda session: fleet.undrain(session, worker))
    console.print(f"Worker {worker} takes rooms again; it has {_rooms(own.rooms)}.")
    if not own.alive:
        console.print("It gives no sign of life: start it.")


def _told(
    worker: UUID, tell: Callable[[AsyncSession], Awaitable[None]]
) -> tuple[Member, list[Member]]:
    """The worker after it was told, and the others that take rooms."""

    async def work(session: AsyncSession) -> list[Member]:
        await tell(session)
        return await fleet.members(session)

    found = in_transaction(work)
    own = next(m for m in found if m.worker.id == worker)
    return own, [m for m in found if m is not own and _state(m) == "ready"]


def _rooms(count: int) -> str:
    return f"{count} room" if count == 1 else f"{count} rooms"
