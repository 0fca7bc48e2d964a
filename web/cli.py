"""The `encore` command."""

import asyncio
import contextlib
import re
import signal
import sys
from typing import Annotated, NoReturn

import asyncpg
import typer
from pydantic import SecretStr, ValidationError
from pydantic_settings import SettingsError
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError

from core import VERSION
from core.errors import Problem
from core.installation import adopt
from core.logging import configure_logging
from core.settings import Settings
from web import (
    models_cli,
    operators,
    recordings_cli,
    sandbox_cli,
    transcribe_cli,
    transcripts_cli,
    workers_cli,
)
from web.database import connected, same_installation, with_database
from web.processes import PROCESSES, run_process
from web.supervise import Supervisor, check_shared, running

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Encore: live audio rooms that don't vanish.",
)
db = typer.Typer(no_args_is_help=True, help="The database schema.")
app.add_typer(db, name="db")
app.add_typer(operators.platform, name="platform")
app.add_typer(operators.admin, name="admin")
app.add_typer(recordings_cli.recording, name="recording")
app.add_typer(transcripts_cli.transcript, name="transcript")
app.add_typer(workers_cli.workers, name="workers")
app.add_typer(models_cli.models, name="models")
app.add_typer(sandbox_cli.sandbox, name="sandbox")
app.command("transcribe")(transcribe_cli.transcribe_files)

QUEUES = {"default": "work", "transcribe": "transcribe"}
"""The process that works on each."""

MASK = "********"
URL_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")

PHRASES = (
    (re.compile(r"Value error, "), ""),
    (re.compile(r"\b(Input|String|Value|Tuple) should\b"), "must"),
    (re.compile(r"(?s)(a valid \w+), .*"), r"\1"),
)

console = Console(soft_wrap=True)
errors = Console(stderr=True)


@app.callback(invoke_without_command=True)
def about(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        console.print(f"encore {VERSION}")
        raise typer.Exit


@app.command()
def up() -> None:
    """Run everything on this machine, with its own PostgreSQL, until Ctrl-C. Data is kept."""
    _supervise(tuple(PROCESSES), embed_database=True)


@app.command()
def serve() -> None:
    """Run API, pages and the edge that serves HLS. Needs what all machines share, see README."""
    _supervise(("web", "edge"), embed_database=False)


@app.command()
def ingest() -> None:
    """Run the media plane: receive, package and captions, with an edge for live. Needs what all
    share."""
    _supervise(("receive", "package", "captions", "edge"), embed_database=False)


@app.command()
def work(
    queues: Annotated[
        str,
        typer.Option(help="default: mail, webhooks, recordings; transcribe: final transcripts."),
    ] = "default,transcribe",
) -> None:
    """Run background jobs, all of them or those of some queues. Needs what all share."""
    _supervise(_processes_of(queues), embed_database=False)


def _processes_of(queues: str) -> tuple[str, ...]:
    wanted = [name.strip() for name in queues.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in QUEUES]
    if unknown or not wanted:
        said = f"no queue {unknown[0]!r}" if unknown else "no queue"
        raise typer.BadParameter(f"{said}; queues are {', '.join(QUEUES)}")
    return tuple(dict.fromkeys(QUEUES[name] for name in wanted))


@db.command("upgrade")
def db_upgrade() -> None:
    """Bring the schema of DATABASE_URL (or of the embedded database) up to date."""

    async def run() -> None:
        async with with_database(Settings(), embed=True):
            pass

    asyncio.run(run())
    console.print("The schema is up to date.")


@db.command("adopt")
def db_adopt() -> None:
    """Make this machine's secret key and object store those of the installation.

    After a secret was changed or a store was moved on purpose; then start all machines again.
    """

    async def run() -> None:
        async with (
            with_database(Settings(), embed=True) as settings,
            connected(settings) as database,
        ):
            await adopt(settings, database)

    asyncio.run(run())
    console.print("The installation has this machine's secret key and object store now.")


@app.command("settings")
def show_settings() -> None:
    """Print every setting, its value and its environment variable; secrets are masked."""
    settings = Settings()
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        shown = escape(URL_CREDENTIALS.sub(f"{MASK}@", _shown(value)))
        meaning = escape(field.description or "")
        table.add_row(f"ENCORE_{name.upper()}", f"{shown}\n[dim]{meaning}[/dim]")
    console.print(table)
    console.print(
        "\nDATABASE_URL is read too. A .env file in this folder holds what is not exported."
    )


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


@app.command("doctor")
def run_doctor() -> None:
    """Check this machine; each line is OK or says what to do. Exit code 1 when there is any."""
    from web import doctor  # the media plane and its codecs: a second that others need not wait

    healthy = True
    for finding in doctor.examine(Settings()):
        healthy &= finding.ok
        mark = "[green]OK [/green]" if finding.ok else "[red]FIX[/red]"
        console.print(f"{mark}  {finding.subject:<10} {finding.text}", highlight=False)
    raise typer.Exit(0 if healthy else 1)


@app.command("process", hidden=True)
def process(
    name: Annotated[str, typer.Argument(help="One of: " + ", ".join(PROCESSES))],
    unsupervised: Annotated[bool, typer.Option(help="Do not stop when stdin ends.")] = False,
    standby: Annotated[bool, typer.Option(help="Load, then wait on stdin to take over.")] = False,
) -> None:
    """Run one process alone (what the supervisor starts)."""
    if name not in PROCESSES:
        raise typer.BadParameter(f"no process {name!r}; one of {', '.join(PROCESSES)}")
    settings = Settings()
    if unsupervised and settings.database_url is not None:
        # While the database is away a receiver goes on with its rooms all the same.
        with contextlib.suppress(OSError, SQLAlchemyError, asyncpg.PostgresError):
            asyncio.run(same_installation(settings))
    code = run_process(name, settings, supervised=not unsupervised, standby=standby)
    raise typer.Exit(code)


def _supervise(names: tuple[str, ...], *, embed_database: bool) -> None:
    settings = Settings()
    if not embed_database:
        check_shared(settings)
    configure_logging(settings, process="encore")

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with running(settings, names, embed_database=embed_database) as supervisor:
            _say_where(supervisor)
            await stop.wait()
            console.print("\nEnding; what was said is kept in", settings.data_dir)

    asyncio.run(run())


def _say_where(supervisor: Supervisor) -> None:
    settings = supervisor.settings
    if "web" in supervisor.names:
        console.print(f"\n  Rooms     {settings.public_web_url}/")
        console.print(f"  API docs  {settings.public_web_url}/docs")
    console.print("  Ctrl-C ends it; rooms and recordings stay.\n")


def main() -> None:
    """Every refusal is one line and exit code 2; a bug alone shows a trace."""
    try:
        sys.exit(app(standalone_mode=False))
    except Problem as problem:
        _refuse(problem.detail)
    except typer.TyperException as error:
        _refuse(_plainly(error.format_message()))
    except SettingsError as error:
        _refuse(f"bad settings: {error}")
    except ValidationError as error:
        wrong = (
            f"ENCORE_{'.'.join(str(p) for p in e['loc']).upper()}: {_plainly(e['msg'])}"
            for e in error.errors()
        )
        _refuse(f"bad settings: {'; '.join(wrong)}")
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)


def _refuse(reason: str) -> NoReturn:
    """A command that was given nothing has printed its help and has no reason."""
    if reason.strip():
        reason = "".join(c if c.isprintable() else " " for c in reason)  # names of files are in it
        errors.print(f"encore: {reason}", highlight=False, markup=False, soft_wrap=True)
    sys.exit(2)


def _plainly(message: str) -> str:
    """Without the phrases of the library that checked it."""
    for pattern, instead in PHRASES:
        message = pattern.sub(instead, message)
    return message


if __name__ == "__main__":
    main()
