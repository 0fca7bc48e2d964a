"""`encore platform` and `encore admin`: what an operator does at the machine itself."""

import sys
from typing import Annotated

import typer
from rich.console import Console
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.accounts import create_admin
from core.auth.api_keys import create_api_key
from core.auth.platforms import create_platform
from core.auth.principal import Kind, Principal, Scope
from core.errors import Invalid
from web.database import in_transaction

platform = typer.Typer(no_args_is_help=True, help="Platforms that embed Encore.")
admin = typer.Typer(no_args_is_help=True, help="Operators of this site.")
console = Console(highlight=False, soft_wrap=True)


class PasswordMissing(Invalid):
    code = "password_missing"
    title = "A password is needed"


@platform.command("create")
def create(
    slug: Annotated[str, typer.Argument(help="Short name, unique on this installation.")],
    name: Annotated[str, typer.Argument(help="As people read it.")],
) -> None:
    """Make a platform and its first API key, which has every scope and is shown once."""

    async def work(session: AsyncSession) -> str:
        made = await create_platform(session, slug=slug, name=name)
        operator = Principal(kind=Kind.USER, platform_id=made.id, admin=True)
        return (await create_api_key(session, operator, name="first", scopes=tuple(Scope)))[1]

    secret = in_transaction(work)
    console.print(f"Platform {slug} is made. Its API key, shown only now:\n{secret}")


@admin.command("create")
def create_operator(
    email: Annotated[str, typer.Argument()],
    password: Annotated[
        str | None, typer.Option(help="Asked for when absent, which keeps it out of the history.")
    ] = None,
) -> None:
    """Make somebody an operator; an account that exists gets this password."""
    chosen = password if password is not None else _ask_for_password()

    async def work(session: AsyncSession) -> None:
        await create_admin(session, email, chosen)

    in_transaction(work)
    console.print(f"{email} may sign in as an operator.")


def _ask_for_password() -> str:
    if not sys.stdin.isatty():
        raise PasswordMissing("There is no terminal to ask for a password: give --password.")
    asked: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return asked
