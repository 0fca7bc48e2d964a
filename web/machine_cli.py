"""`encore settings` and `encore doctor`: what this machine was told, and whether it is fit."""

import re
from typing import Final

import typer
from pydantic import SecretStr
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from core.settings import Settings

MASK: Final = "********"
URL_CREDENTIALS: Final = re.compile(r"(?<=://)[^/\s@]+@")

console = Console(soft_wrap=True)


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


def run_doctor() -> None:
    """Check this machine; each line is OK or says what to do. Exit code 1 when there is any."""
    from web import doctor  # the media plane and its codecs: a second that others need not wait

    healthy = True
    for finding in doctor.examine(Settings()):
        healthy &= finding.ok
        mark = "[green]OK [/green]" if finding.ok else "[red]FIX[/red]"
        console.print(f"{mark}  {finding.subject:<10} {finding.text}", highlight=False)
    raise typer.Exit(0 if healthy else 1)
