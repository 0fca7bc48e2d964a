"""What the benches say of the machine that they ran on."""

import os
import sys

import pytest

from bench.machine import Moment, waited_seconds

linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


def test_shares_are_percent_of_a_core() -> None:
    earlier, later = Moment(at=10, idle=100, stolen=3), Moment(at=12, idle=103, stolen=3.5)

    assert earlier.until(later) == {"idle": 150, "stolen": 25}


@linux
def test_a_moment_is_read_from_the_kernel() -> None:
    first = Moment.now()
    second = Moment.now()

    assert second.at >= first.at > 0
    assert second.idle >= first.idle > 0


@linux
def test_the_wait_for_a_core_only_grows() -> None:
    first = waited_seconds(os.getpid())

    assert waited_seconds(os.getpid()) >= first >= 0


def test_a_process_that_is_gone_waited_for_nothing() -> None:
    assert waited_seconds(2**22 + 1) == 0
