"""Whoever runs the tests reads what was left out, and why."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
CASES = """
import pytest

@pytest.mark.parametrize("n", [1, 2])
def test_of_something_away(n):
    pytest.skip("no radio here")

@pytest.mark.skipif(True, reason="no radio here")
def test_elsewhere(): pass

@pytest.mark.skip("too loud")
def test_of_another_reason(): pass

def test_passes(): pass
"""


def test_skipped_tests_are_counted_by_reason(tmp_path: Path) -> None:
    cases = tmp_path / "test_cases.py"
    cases.write_text(CASES)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.skipped", "--rootdir"]
    run = subprocess.run(
        [*command, tmp_path, cases], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert "3 skipped: no radio here\n1 skipped: too loud\n" in run.stdout
