import os
import subprocess
import sys

import pytest

from bench.cpu import Process, cores, cpu_seconds, parse_ps, parse_stat, pin, tree_seconds

STAT = "42 (a (b) c) S 7 42 42 0 -1 4194304 1 2 3 4 250 50 30 20 20 0 1 0 999 1 2 3"


def test_reads_a_name_with_parentheses_and_counts_children_that_ended() -> None:
    assert parse_stat(STAT, ticks=100) == Process(42, 7, 3.5)


def test_reads_the_times_that_ps_writes() -> None:
    text = "  1 0 1-02:03:04\n 20 1 00:01:30\n 300 20 1:02.50\n"

    assert parse_ps(text) == [
        Process(1, 0, 93_784.0),
        Process(20, 1, 90.0),
        Process(300, 20, 62.5),
    ]


def test_sums_a_tree_and_nobody_else() -> None:
    processes = [
        Process(1, 0, 100.0),
        Process(2, 1, 1.0),
        Process(3, 2, 2.0),
        Process(4, 3, 4.0),
        Process(5, 1, 50.0),
    ]

    assert tree_seconds(processes, 2) == 7.0
    assert tree_seconds(processes, 99) == 0.0


BURN = """
import subprocess, sys, time
if sys.argv[1] == "child":
    while time.process_time() < 0.2: pass
else:
    subprocess.run([sys.executable, "-c", sys.argv[2], "child"], check=True)
    print("done", flush=True); sys.stdin.read()
"""


def test_counts_what_a_child_used_that_has_ended() -> None:
    if sys.platform != "linux":
        pytest.skip("ps tells nothing of children that ended")
    command = [sys.executable, "-c", BURN, "parent", BURN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert cpu_seconds(process.pid) >= 0.2
        assert process.stdin is not None
        process.stdin.close()


def test_a_pinned_process_stays_on_its_cores() -> None:
    if sys.platform != "linux":
        pytest.skip("there is no pinning here")
    measured, load = cores()
    with subprocess.Popen(["sleep", "60"]) as process:
        pin(process.pid, measured)
        found = os.sched_getaffinity(process.pid)
        process.kill()
    assert found == measured
    assert load <= os.sched_getaffinity(0)
