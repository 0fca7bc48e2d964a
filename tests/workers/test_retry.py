from datetime import timedelta

import asyncpg
import httpx
import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError

from core.errors import Conflict
from core.mail import MailUnavailable
from core.storage import StoreUnavailable
from workers.retry import ATTEMPTS, LONGEST_WAIT, is_transient, wait_before_retry


class DriverError(Exception):
    """A driver's error with its SQLSTATE."""

    def __init__(self, sqlstate: str | None) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    "error",
    [
        MailUnavailable(),
        StoreUnavailable(),
        ConnectionRefusedError(),
        TimeoutError(),
        httpx.ConnectTimeout("x"),
        asyncpg.DeadlockDetectedError("x"),
        asyncpg.AdminShutdownError("x"),
        asyncpg.InterfaceError("x"),
        DBAPIError("", None, DriverError("40001")),
        DBAPIError("", None, DriverError(None), connection_invalidated=True),
    ],
    ids=lambda e: type(e).__name__,
)
def test_what_was_away_comes_back(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError(),
        KeyError("x"),
        Conflict(),
        asyncpg.UniqueViolationError("x"),
        IntegrityError("", None, DriverError("23505")),
    ],
    ids=lambda e: type(e).__name__,
)
def test_a_bug_stays_a_bug(error: Exception) -> None:
    assert not is_transient(error)
    assert wait_before_retry(error, 0) is None


def test_waits_double_to_two_hours_and_last_more_than_a_day() -> None:
    waits = [wait_before_retry(TimeoutError(), n) for n in range(ATTEMPTS)]
    assert waits[-1] is None
    known = [wait for wait in waits if wait is not None]
    assert len(known) == ATTEMPTS - 1
    assert known[:3] == [timedelta(seconds=s) for s in (5, 10, 20)]
    assert known == sorted(known)
    assert known[-1] == LONGEST_WAIT
    assert sum(known, timedelta()) > timedelta(days=1)
