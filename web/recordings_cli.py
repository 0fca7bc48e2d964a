"""`encore recording`: what an operator asks of what was recorded: list, verify, export."""

import sys
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from pydantic_core import to_jsonable_python
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.storage import ObjectStore
from replay.formats import Format
from replay.holdings import Holding, UnknownRecording, load_holding
from replay.listing import Listed, list_recordings
from replay.verification import Verification, verify
from web.database import in_transaction, over_the_database
from web.recording_timeline import draw, duration

recording = typer.Typer(no_args_is_help=True, help="What was recorded.")
console = Console(highlight=False, soft_wrap=True)

LIST_WIDTH = 140
"""Lines are wrapped by the terminal rather than cut: an ID is there to be copied."""

Id = Annotated[str, typer.Argument(metavar="ID", help="Of the recording, see `recording list`.")]


@recording.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The newest so many.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Print the recordings, the newest first: length, size, state, gaps."""

    async def work(session: AsyncSession) -> list[Listed]:
        return await list_recordings(session, limit=limit)

    found = in_transaction(work)
    if as_json:
        console.print_json(data=to_jsonable_python(found), ensure_ascii=False)
        return
    table = Table(box=None, pad_edge=False)
    for title in ("ID", "Live at (UTC)", "Length", "Tracks", "MB", "Gaps", "State", "Room"):
        right = title in ("Length", "Tracks", "MB", "Gaps")
        table.add_column(title, justify="right" if right else "left", no_wrap=True)
    for one in found:
        table.add_row(
            str(one.recording_id),
            f"{one.live_at:%Y-%m-%d %H:%M}",
            "" if one.media_ms is None else duration(one.media_ms),
            str(one.tracks),
            f"{one.bytes / 1e6:.1f}",
            str(one.gaps),
            one.state,
            _plain(one.title),
        )
    wide = Console(highlight=False, soft_wrap=True, width=max(console.width, LIST_WIDTH))
    wide.print(table)


@recording.command("verify")
def verify_(
    recording_id: Id,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    quick: Annotated[bool, typer.Option(help="Believe sizes: hash nothing.")] = False,
) -> None:
    """Prove a recording complete, or name every gap and its cause.

    Exit code 0: complete (what was off the record is no gap). 1: gaps, each with its cause.
    2: not finished, or it could not be checked. 3: damaged; what is wrong is named.
    """

    async def work(database: Database, store: ObjectStore) -> tuple[Holding, Verification]:
        holding = await _holding(database, recording_id)
        return holding, await verify(store, holding, quick=quick)

    holding, report = over_the_database(work)
    if as_json:
        console.print_json(data=report.as_json(), ensure_ascii=False)
    else:
        draw(console, holding, report)
    raise typer.Exit(_exit_code(report))


def _exit_code(report: Verification) -> int:
    if not report.intact:
        return 3
    if report.live:
        return 2
    return 0 if report.complete else 1


@recording.command("export")
def export_(
    recording_id: Id,
    format_: Annotated[Format, typer.Option("--format", help="Of the files.")] = Format.FLAC,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files; recording-<ID> when absent.")
    ] = None,
) -> None:
    """Write the mix and every speaker as files that begin together and are equally long."""
    from replay.export import export, file_names  # codecs: a second that others need not wait

    folder = out or Path(f"recording-{recording_id}")

    async def work(database: Database, store: ObjectStore) -> list[Path]:
        holding = await _holding(database, recording_id)
        length = holding.recording.media_samples or 0
        with _bar() as bar:
            tasks = {
                name: bar.add_task(_plain(name), total=length)
                for name in file_names(holding.renditions, format_)
            }
            return await export(
                store,
                holding,
                folder,
                format_,
                lambda name, samples: bar.advance(tasks[name], samples),
            )

    for path in over_the_database(work):
        console.print(_plain(str(path)), markup=False)


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )


async def _holding(database: Database, recording_id: str) -> Holding:
    try:
        wanted = UUID(recording_id)
    except ValueError:
        raise UnknownRecording(f"{recording_id!r} is not the ID of a recording.") from None
    async with database.transaction() as session:
        return await load_holding(session, wanted)


def _plain(text: str) -> str:
    """Names are people's: what a terminal would obey is left out."""
    return "".join(c if c.isprintable() else " " for c in text)
