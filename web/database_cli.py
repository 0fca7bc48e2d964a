"""`encore db`: the schema, and which installation the database is of."""

import asyncio

import typer

from core.installation import adopt
from core.settings import Settings
from web.database import connected, with_database

db = typer.Typer(no_args_is_help=True, help="The database schema.")


@db.command("upgrade")
def upgrade() -> None:
    """Bring the schema of DATABASE_URL (or of the embedded database) up to date."""

    async def run() -> None:
        async with with_database(Settings(), embed=True):
            pass

    asyncio.run(run())
    typer.echo("The schema is up to date.")


@db.command("adopt")
def adopt_() -> None:
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
    typer.echo("The installation has this machine's secret key and object store now.")
