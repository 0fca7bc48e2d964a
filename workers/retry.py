"""Which failures of a job are worth another attempt, and when."""

from datetime import timedelta
from typing import Final

import asyncpg
import httpx
from sqlalchemy.exc import DBAPIError

from core.errors import Problem

FIRST_WAIT: Final = timedelta(seconds=5)
LONGEST_WAIT: Final = timedelta(hours=2)
ATTEMPTS: Final = 23
"""With waits that double up to two hours: about a day, then the job is held."""

_TRANSIENT_STATES: Final = ("08", "40", "53", "55P03", "57")
"""SQLSTATE: connection, rollback (deadlock), resources, lock not available, shutdown."""


def wait_before_retry(error: BaseException, attempts: int) -> timedelta | None:
    """How long to wait after the failure number `attempts + 1`; None: hold the job for a person."""
    if not is_transient(error) or attempts + 1 >= ATTEMPTS:
        return None
    return min(FIRST_WAIT * (1 << min(attempts, ATTEMPTS)), LONGEST_WAIT)


def is_transient(error: BaseException) -> bool:
    """Something outside was away; the same job can succeed later. Bugs are not transient."""
    if isinstance(error, Problem):
        return error.status == 503
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or _passes(getattr(error.orig, "sqlstate", None))
    if isinstance(error, asyncpg.PostgresError):
        return _passes(error.sqlstate)
    return isinstance(error, OSError | httpx.TransportError | asyncpg.InterfaceError)


def _passes(state: str | None) -> bool:
    return (state or "").startswith(_TRANSIENT_STATES)
