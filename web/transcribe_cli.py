"""`encore transcribe`: the transcript of sound files, made as that of a recording is."""

import asyncio
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from core.errors import Invalid
from core.settings import Settings
from transcripts.engine_process import EngineProcess
from transcripts.file_transcript import Format, plain_name, speakers, together
from transcripts.files import decode
from transcripts.pipeline import TrackTranscript, transcribe_track
from transcripts.tracks import RoomTrack
from transcripts.transcriber import RATE, Decoding
from web.models_cli import with_progress

AUTO: Final = "auto"
SHOWN_SECONDS: Final = 0.1
errors = Console(stderr=True, highlight=False, soft_wrap=True)


class FormatContradicted(Invalid):
    code = "format_contradicted"
    title = "The result's name says another format"


class OutputRefused(Invalid):
    code = "output_refused"
    title = "The result cannot be written there"


def transcribe_files(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Sound or video; several: one speaker each."),
    ],
    format_: Annotated[
        Format | None,
        typer.Option("--format", help="Of the result; else as the name of --output ends, or vtt."),
    ] = None,
    language: Annotated[
        str, typer.Option(help="What is spoken, like it; auto: found out for each file.")
    ] = AUTO,
    output: Annotated[
        Path | None, typer.Option(help="File for the result; stdout when absent.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="bundled, a name on the hub, or a folder; else as in the settings."),
    ] = None,
) -> None:
    """Write down what is said in files, as is done with recordings.

    Several files are the tracks of one room: they begin together, and their speakers are called
    as the files are. Nothing leaves this machine.
    """
    _check(output)
    format_ = _format(format_, output)
    settings = Settings()
    wanted = model or settings.transcribe_model
    spoken = None if language == AUTO else language
    with ExitStack() as stack:
        with _bar() as bar:
            tracks = [stack.enter_context(_track(file, bar)) for file in files]
        with_progress(wanted)
        named = dict(zip(speakers(files), tracks, strict=True))
        with _bar() as bar:
            found = asyncio.run(_transcribe(settings, wanted, named, spoken, bar))
    _give(together(found).render(format_), output)


def _check(output: Path | None) -> None:
    """Before the work is done, not after it."""
    if output is None:
        return
    folder = output.absolute().parent
    if output.is_dir() or not os.access(folder, os.W_OK):
        raise OutputRefused(f"{output} cannot be written: name a file in a folder that can.")


def _format(asked: Format | None, output: Path | None) -> Format:
    ending = output.suffix.lower().removeprefix(".") if output else ""
    named = Format(ending) if ending in set(Format) else None
    if asked and named and asked is not named:
        raise FormatContradicted(f"{output} is not the name of a {asked} file: leave one out.")
    return asked or named or Format.VTT


async def _transcribe(
    settings: Settings,
    model: str,
    tracks: dict[str, RoomTrack],
    language: str | None,
    bar: Progress,
) -> dict[str, TrackTranscript]:
    found = {}
    async with EngineProcess(settings, model=model) as engine:
        await engine.hear(np.zeros(0, np.float32), Decoding(language))  # refuses what it can't
        for name, track in tracks.items():
            task = bar.add_task(escape(name), total=None)

            def say(done: int, total: int, task: TaskID = task) -> None:
                bar.update(task, completed=done, total=total)

            found[name] = await transcribe_track(track, engine, language=language, progress=say)
            _tell(name, track, found[name])
    return found


def _tell(name: str, track: RoomTrack, found: TrackTranscript) -> None:
    """What somebody who only sees the result would not know."""
    length = f"{track.samples / RATE:.1f} s"
    if found.language is None:
        errors.print(f"{escape(name)}: {length}, nobody speaks in it")
        return
    sure = f"{found.language} ({100 * found.language_probability:.0f} %)"
    gaps = f", possibly missing in {len(found.missing)} places" if found.missing else ""
    errors.print(f"{escape(name)}: {length}, {sure}, {len(found.words)} words{gaps}")


@contextmanager
def _track(file: Path, bar: Progress) -> Iterator[RoomTrack]:
    """Its sound, in a temporary file without a name."""
    task = bar.add_task(f"reading {escape(plain_name(file.name))}", total=None)

    def say(done: float, total: float | None) -> None:
        bar.update(task, completed=done, total=total)

    with tempfile.TemporaryFile(buffering=0) as pcm:
        decoded = decode(file, pcm, say)
        bar.remove_task(task)
        if decoded.damaged:
            errors.print(
                f"{escape(plain_name(str(file)))}: damaged; what can be read is transcribed"
            )
        if decoded.missing_s >= SHOWN_SECONDS:
            seconds = decoded.samples / RATE
            said = f"{seconds:.1f} of {seconds + decoded.missing_s:.1f} s"
            errors.print(f"{escape(plain_name(str(file)))} ends after {said}")
        yield RoomTrack(pcm, decoded.samples)


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeRemainingColumn(),
        console=errors,
        disable=not sys.stderr.isatty(),
    )


def _give(text: str, output: Path | None) -> None:
    """The whole result or, where it cannot be written, what was there before."""
    text = text if text.endswith("\n") else f"{text}\n"
    if output is None:
        sys.stdout.write(text)
        return
    draft = output.with_name(f".{output.name}.{secrets.token_hex(4)}")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(output)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise OutputRefused(f"{output} cannot be written ({error.strerror}).") from error
