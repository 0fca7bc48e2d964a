"""`encore up`, `serve`, `ingest`, `work`: what runs until Ctrl-C, and each process of it alone."""

import asyncio
import contextlib
import signal
from typing import Annotated, Final

import typer

from core.logging import configure_logging
from core.settings import Settings
from web.processes import PROCESSES, run_process
from web.shared import check_shared
from web.supervise import Supervisor, running

QUEUES: Final = {"default": "work", "transcribe": "transcribe"}
"""The process that works on each."""


def up() -> None:
    """Run everything on this machine, with its own PostgreSQL, until Ctrl-C. Data is kept."""
    _supervise(tuple(PROCESSES), embed_database=True)


def serve() -> None:
    """Run API, pages and the edge that serves HLS. Needs what all machines share, see README."""
    _supervise(("web", "edge"), embed_database=False)


def ingest() -> None:
    """Run the media plane: receive, package and captions, with an edge for live. Needs what all
    share."""
    _supervise(("receive", "package", "captions", "edge"), embed_database=False)


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
        _look_around(settings)
    code = run_process(name, settings, supervised=not unsupervised, standby=standby)
    raise typer.Exit(code)


def _look_around(settings: Settings) -> None:
    """While the database is away a receiver goes on with its rooms all the same."""
    import asyncpg
    from sqlalchemy.exc import SQLAlchemyError

    from web.database import same_installation

    with contextlib.suppress(OSError, SQLAlchemyError, asyncpg.PostgresError):
        asyncio.run(same_installation(settings))


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
            typer.echo(f"\nEnding; what was said is kept in {settings.data_dir}")

    asyncio.run(run())


def _say_where(supervisor: Supervisor) -> None:
    settings = supervisor.settings
    if "web" in supervisor.names:
        typer.echo(f"\n  Rooms     {settings.public_web_url}/")
        typer.echo(f"  API docs  {settings.public_web_url}/docs")
    typer.echo("  Ctrl-C ends it; rooms and recordings stay.\n")
