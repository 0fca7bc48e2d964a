"""`encore transcript`: how far a recording's transcript is, and another model over it."""

from typing import Annotated, Final
from uuid import UUID

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncSession

from core.settings import Settings
from ingest.models import Recording
from replay.holdings import UnknownRecording
from transcripts import reading, runs
from transcripts.models import Run, RunStatus, Transcript
from transcripts.reading import Progress
from web.database import in_transaction
from web.recordings_cli import Id

transcript = typer.Typer(no_args_is_help=True, help="What was said in recordings.")
REMEDIES: Final = {
    "model_unknown": "name another model",
    "model_not_fetched": "on the worker's machine run `encore models fetch` with its name",
    "model_missing": "put the model on the worker's machine (`encore models list` there)",
    "model_damaged": "run `encore models verify` on the worker's machine",
    "model_unfit": "name another model, or another compute type in the worker's settings",
    "store_unavailable": "run `encore doctor`",
}
"""By a run's error code."""

console = Console(highlight=False, soft_wrap=True)


@transcript.command("status")
def status(recording_id: Id) -> None:
    """Print the newest run and all that are not finished or failed: why, and what to do next."""
    wanted = _parsed(recording_id)

    async def work(session: AsyncSession) -> tuple[Transcript | None, list[Progress]]:
        if await session.get(Recording, wanted) is None:
            raise UnknownRecording(f"There is no recording {wanted}.")
        head = await session.get(Transcript, wanted)
        return head, await reading.open_runs(session, wanted)

    head, found = in_transaction(work)
    version = f"version {head.version} is published" if head else "none yet"
    console.print(version if found else f"{version}; no run")
    for one in found:
        console.print(escape(summary(one)))
        if one.tracks:
            console.print(_table(one))


def summary(found: Progress) -> str:
    """One run in a line: its model, how far it is, why it is no further, what to do."""
    run = found.run
    if run is None:
        return "no run"
    model = "the worker's model" if run.model == runs.DEFAULT_MODEL else run.model
    why = f" ({run.error_code})" if run.error_code else ""
    total = "?" if found.windows_total is None else found.windows_total
    return f"{model}: {run.status}{why}, {found.windows_done} of {total} windows{_next(run)}"


def _next(run: Run) -> str:
    remedy = REMEDIES.get(run.error_code or "", "see the worker's log")
    if run.status is RunStatus.FAILED:
        return f"; {remedy}, then: encore transcript rerun {run.recording_id}"
    if run.status is RunStatus.RUNNING and run.error_code:
        return f"; it is tried again for a day: {remedy}"
    if run.status is RunStatus.WAITING:
        return "; it waits for `encore work --queues transcribe`"
    return ""


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
