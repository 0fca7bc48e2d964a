"""At the end of a run, everything that any sandbox was asked in it, and answered, is judged.

By three: the types of the installed library's parameters, the types that it reads answers into,
and, where it lies beside the project, a referee with Stripe's published schemas. One rejection
fails the run. `python -m tests.payouts.judging FOLDER` judges what was recorded before.
"""

import functools
import importlib.util
import json
import os
import re
import shutil
import sys
import tempfile
import warnings
from argparse import Namespace
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REFEREE = Path(__file__).parents[3] / "shared" / "referee" / "stripe"
RECORD = "ENCORE_SANDBOX_RECORD"
IDS = re.compile(r"[A-Za-z0-9]{14,}")
VARYING = re.compile(r"[A-Za-z0-9]{14,}|\d+")
"""Ids, amounts and moments: requests that differ in nothing else are judged once."""

REFUSED_AS_ASKED = frozenset({400, 401, 403, 404, 413})
"""What the sandbox refused for its form, or for what there is: tests of that ask so on purpose.
Our own code never does: its tests fail by what it makes of a refusal."""

MOST_SHOWN, MOST_CHARS = 20, 400
FOLDER = pytest.StashKey[Path]()
VERDICT = pytest.StashKey["Verdict"]()


@dataclass(frozen=True)
class Verdict:
    requests: int
    different: int
    problems: tuple[str, ...]

    def __str__(self) -> str:
        by = (
            "Stripe's schemas and the library's types"
            if REFEREE.is_dir()
            else "the library's types"
        )
        return (
            f"{self.requests} requests to Stripe's sandbox, {self.different} of them different, "
            f"{len(self.problems)} problems by {by}"
        )


def pytest_configure(config: pytest.Config) -> None:
    """Workers of xdist inherit the controller's environment, and so do processes that tests run."""
    if not hasattr(config, "workerinput"):
        config.stash[FOLDER] = Path(tempfile.mkdtemp(prefix="encore-stripe-"))
        os.environ[RECORD] = str(config.stash[FOLDER])


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if (folder := session.config.stash.get(FOLDER, None)) is None:
        return
    verdict = session.config.stash[VERDICT] = judge(folder)
    shutil.rmtree(folder)
    if verdict.problems and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    verdict = config.stash.get(VERDICT, None)
    if verdict is not None and verdict.requests:
        for problem in verdict.problems[:MOST_SHOWN]:
            terminalreporter.write_line(f"STRIPE {problem[:MOST_CHARS]}", red=True)
        terminalreporter.write_line(str(verdict))


def judge(folder: Path) -> Verdict:
    """Everything that was recorded in the folder, each kind of request once."""
    lines = [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in _read(file)]
    lines = [line for line in lines if "json" not in line["headers"].get("content-type", "")]
    seen = set[str]()
    kinds = {_kind(fresh): fresh for fresh in (_fresh(line, seen) for line in lines)}
    problems = dict.fromkeys(problem for line in kinds.values() for problem in _problems(line))
    return Verdict(len(lines), len(kinds), tuple(problems))


def _read(file: Path) -> Iterable[str]:
    """Of a process that was killed the last line may be half."""
    return (line for line in file.read_text().splitlines(keepends=True) if line.endswith("\n"))


def _kind(line: dict[str, Any]) -> str:
    return VARYING.sub("#", json.dumps(line, sort_keys=True))


def _fresh(line: dict[str, Any], seen: set[str]) -> dict[str, Any]:
    """Of a listing only what no other has shown: pages of events are long, and much alike."""
    answer = line["response"]
    if answer.get("object") != "list":
        return line
    kinds = {_kind(each): each for each in answer["data"]}
    new = [each for kind, each in kinds.items() if kind not in seen]
    seen.update(kinds)
    return line | {"response": answer | {"data": new}}


def _problems(line: dict[str, Any]) -> Iterator[str]:
    from tests.payouts.stripe_answers import unreadable
    from tests.payouts.stripe_requests import refused

    where = f"{line['method']} {IDS.sub('#', line['path'])} {line['status']}"
    if line["status"] not in REFUSED_AS_ASKED:
        yield from (f"{where}: {problem}" for problem in refused(line))
    if line["status"] == 200:
        yield from (f"{where}: {problem}" for problem in unreadable(line["response"]))
    if REFEREE.is_dir():
        yield from (f"{where}: {problem}" for problem in _by_referee(line))


def _by_referee(line: dict[str, Any]) -> Iterator[str]:
    referee, requests, answers = _referee()
    options = Namespace(response=False, open_enums=False, require_idempotency=True)
    found = referee.judge(answers, line, options) or []
    found = [each for each in found if each[0].startswith("response.")]
    if line["status"] not in REFUSED_AS_ASKED:
        asked = {name: value for name, value in line.items() if name != "response"}
        found += referee.judge(requests, asked, options) or []
    yield from (f"{at}: {said}" for at, said in found)


@functools.cache
def _referee() -> tuple[Any, Any, Any]:
    """The module, the requests' specification, the answers' one."""
    spec = importlib.util.spec_from_file_location("referee", REFEREE / "check_stripe_requests.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves its files to the collector
        requests = module.Spec(REFEREE / "stripe_openapi_sdk16.json")
        answers = module.Spec(REFEREE / "stripe_openapi_trimmed.json")
    return module, requests, answers


def main(folder: Path) -> int:
    verdict = judge(folder)
    sys.stdout.write("".join(f"{problem}\n" for problem in verdict.problems) + f"{verdict}\n")
    return 1 if verdict.problems else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
