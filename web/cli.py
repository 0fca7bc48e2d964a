"""The `encore` command."""

import re
import sys
from typing import Annotated, Final, NoReturn

import typer

from core import VERSION
from core.errors import Problem
from web.later import Lazily, announce

app = typer.Typer(
    cls=Lazily,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Encore: live audio rooms that don't vanish.",
)

announce(app)

PHRASES: Final = (
    (re.compile(r"Value error, "), ""),
    (re.compile(r"\b(Input|String|Value|Tuple) should\b"), "must"),
    (re.compile(r"(?s)(a valid \w+), .*"), r"\1"),
)


@app.callback(invoke_without_command=True)
def about(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"encore {VERSION}")
        raise typer.Exit


def main() -> None:
    """Every refusal is one line and exit code 2; a bug alone shows a trace."""
    try:
        sys.exit(app(standalone_mode=False))
    except Problem as problem:
        _refuse(problem.detail)
    except typer.TyperException as error:
        _refuse(_plainly(error.format_message()))
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except Exception as error:
        if (reason := _of_settings(error)) is None:
            raise
        _refuse(f"bad settings: {reason}")


def _of_settings(error: Exception) -> str | None:
    """What is wrong with them, if it is that."""
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    if isinstance(error, SettingsError):
        return str(error)
    if not isinstance(error, ValidationError):
        return None
    wrong = (
        f"ENCORE_{'.'.join(str(p) for p in e['loc']).upper()}: {_plainly(e['msg'])}"
        for e in error.errors()
    )
    return "; ".join(wrong)


def _refuse(reason: str) -> NoReturn:
    """A command that was given nothing has printed its help and has no reason."""
    if reason.strip():
        reason = "".join(c if c.isprintable() else " " for c in reason)  # names of files are in it
        typer.echo(f"encore: {reason}", err=True)
    sys.exit(2)


def _plainly(message: str) -> str:
    """Without the phrases of the library that checked it."""
    for pattern, instead in PHRASES:
        message = pattern.sub(instead, message)
    return message


if __name__ == "__main__":
    main()
