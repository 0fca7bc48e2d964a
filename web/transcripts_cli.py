"""`encore transcript`: how far a recording's transcript is, and another model over it."""

from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncSession

from core.settings import Settings
from ingest.models import Recording
from replay.holdings import UnknownRecording
from transcripts import reading, runs
from transcripts.reading import Progress
from web.database import in_transaction
from web.recordings_cli import Id

transcript = typer.Typer(no_args_is_help=True, help="What was said in recordings.")
console = Console(highlight=False, soft_wrap=True)


@transcript.command("status")
def status(recording_id: Id) -> None:
    """Print the newest run, and how many windows of each speaker are done."""
    wanted = _parsed(recording_id)

    async def work(session: AsyncSession) -> Progress:
        if await session.get(Recording, wanted) is None:
            raise UnknownRecording(f"There is no recording {wanted}.")
        return await reading.progress(session, wanted)

    found = in_transaction(work)
    console.print(_summary(found))
    if found.tracks:
        console.print(_table(found))


def _summary(found: Progress) -> str:
    version = f"version {found.published.version} is published" if found.published else "none yet"
    run = found.run
    if run is None:
        return f"{version}; no run"
    why = f" ({run.error_code})" if run.error_code else ""
    total = "?" if found.windows_total is None else found.windows_total
    return f"{version}; {run.model}: {run.status}{why}, {found.windows_done} of {total} windows"


def _table(found: Progress) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("Speaker", "Language", "Speech", "Windows"):
        table.add_column(title, justify="right" if title in ("Speech", "Windows") else "left")
    for track in found.tracks:
        speaker = "".join(c if c.isprintable() else " " for c in track.speaker)
        table.add_row(
            speaker.replace("[", r"\["),
            track.language or "",
            f"{track.speech_ms / 1000:.0f} s",
            f"{track.windows_done}/{track.windows_total}",
        )
    return table


@transcript.command("rerun")
def rerun(
    recording_id: Id,
    model: Annotated[
        str | None,
        typer.Option(
            help="bundled, a name on the hub, or a folder on the worker's machine; else as in "
            "its settings."
        ),
    ] = None,
) -> None:
    """Have another model listen. Its transcript is published when it is done; edits are kept."""
    wanted = _parsed(recording_id)

    async def work(session: AsyncSession) -> UUID:
        run = await runs.request_run(
            session,
            wanted,
            model=runs.DEFAULT_MODEL if model is None else model,
            own_model=Settings().transcribe_model,
            requested_by=None,
        )
        return run.id

    console.print(f"Run {in_transaction(work)} waits for `encore work --queues transcribe`.")


def _parsed(recording_id: str) -> UUID:
    try:
        return UUID(recording_id)
    except ValueError:
        raise UnknownRecording(f"{recording_id!r} is not the ID of a recording.") from None
