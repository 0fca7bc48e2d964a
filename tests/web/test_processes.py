"""What every process does before its own work."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from web.processes import OPEN_FILES

PROBE = """
import json, resource
from pathlib import Path

async def run(settings, stop):
    Path("made").mkdir()
    Path("made/file").touch()
    Path("limit").write_text(json.dumps(resource.getrlimit(resource.RLIMIT_NOFILE)))
"""
START = """
import web.processes
from core.settings import Settings

web.processes.PROCESSES["probe"] = "probe"
web.processes.run_process("probe", Settings(), supervised=False, standby=False)
"""
ROOT = Path(__file__).parents[2]


def run_probe(folder: Path) -> None:
    (folder / "probe.py").write_text(PROBE)
    paths = os.pathsep.join((str(ROOT), str(folder)))
    subprocess.run(
        [sys.executable, "-c", START],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths},
        check=True,
        timeout=30,
        preexec_fn=few_files,
    )


def few_files() -> None:
    """As a shell gives them."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, most))


@pytest.mark.slow
def test_process_keeps_its_files_to_itself_and_may_have_many_open(tmp_path: Path) -> None:
    run_probe(tmp_path)
    for made in (tmp_path / "made", tmp_path / "made" / "file"):
        assert made.stat().st_mode & 0o077 == 0
    soft, most = json.loads((tmp_path / "limit").read_text())
    assert soft == min(most, OPEN_FILES) or most == resource.RLIM_INFINITY
