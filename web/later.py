"""The commands of `encore`, each imported when it is called: all of them together take two
seconds, which neither a refusal nor each process of `encore up` need wait for.
"""

import importlib
from typing import Any, Final

import typer
from typer.core import TyperGroup

LATER: Final = {
    "up": (
        "web.processes_cli:up",
        "Run everything on this machine, with its own PostgreSQL, until Ctrl-C. Data is kept.",
    ),
    "serve": (
        "web.processes_cli:serve",
        "Run API, pages and the edge that serves HLS. Needs what all machines share, see README.",
    ),
    "ingest": (
        "web.processes_cli:ingest",
        "Run the media plane: receive, package and captions, with an edge for live.",
    ),
    "work": ("web.processes_cli:work", "Run background jobs, all of them or those of some queues."),
    "process": ("web.processes_cli:process", ""),
    "settings": (
        "web.machine_cli:show_settings",
        "Print every setting, its value and its environment variable; secrets are masked.",
    ),
    "doctor": (
        "web.machine_cli:run_doctor",
        "Check this machine; each line is OK or says what to do. Exit code 1 when there is any.",
    ),
    "db": ("web.database_cli:db", "The database schema."),
    "platform": ("web.operators:platform", "Platforms that embed Encore."),
    "admin": ("web.operators:admin", "Operators of this site."),
    "recording": ("web.recordings_cli:recording", "What was recorded."),
    "transcript": ("web.transcripts_cli:transcript", "What was said in recordings."),
    "workers": ("web.workers_cli:workers", "Machines that receive rooms."),
    "models": ("web.models_cli:models", "What turns sound into words."),
    "money": ("web.money_cli:money", "The books: Stars, tips, transfers."),
    "sandbox": ("web.sandbox_cli:sandbox", "The Stripe stand-in: its clock and its faults."),
    "transcribe": (
        "web.transcribe_cli:transcribe_files",
        "Write down what is said in files, as is done with recordings.",
    ),
}
"""By name: the module and the function or group in it, and what the help says; nothing: hidden."""


class Lazily(TyperGroup):
    """Imports a command when it is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, imported(name) if name in LATER else command, rest


def imported(name: str) -> Any:
    """The command of LATER."""
    module, _, attribute = LATER[name][0].partition(":")
    found = getattr(importlib.import_module(module), attribute)
    if isinstance(found, typer.Typer):
        return typer.main.get_group(found)
    alone = typer.Typer(add_completion=False)
    alone.command()(found)
    return typer.main.get_command(alone)


def announce(app: typer.Typer) -> None:
    """Puts LATER into the help of `app`, whose class must be Lazily."""
    for name, (_, said) in LATER.items():
        app.command(name, help=said, hidden=not said)(lambda: None)
