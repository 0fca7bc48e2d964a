"""What was asked of the sandbox and answered by it, held against what Stripe says of both."""

import functools
import importlib.util
import json
import warnings
from argparse import Namespace
from pathlib import Path
from typing import Any

from tests.payouts.stripe_requests import refused

REFEREE = Path(__file__).parents[4] / "shared" / "referee" / "stripe"
"""With Stripe's published schemas; only some machines have it."""


def problems(recording: Path) -> list[str]:
    """Of the answers, and of the requests that were taken: others were refused on purpose.

    JSON is the sandbox's own: Stripe's first version takes forms alone.
    """
    if not recording.exists():
        return []
    lines = [json.loads(line) for line in recording.read_text().splitlines()]
    lines = [line for line in lines if "json" not in line["headers"].get("content-type", "")]
    asked = [line for line in lines if line["status"] == 200]
    said = [problem for line in asked for problem in refused(line)]
    return said + [problem for line in lines for problem in _by_referee(line)]


def _by_referee(line: dict[str, Any]) -> list[str]:
    if not REFEREE.is_dir():
        return []
    referee, requests, answers = _referee()
    options = Namespace(response=False, open_enums=False, require_idempotency=True)
    found = list(referee.judge(answers, line, options) or [])
    if line["status"] == 200:
        found += referee.judge(requests, line | {"response": {}}, options) or []
    else:
        found = [each for each in found if each[0].startswith("response.")]
    return [f"{line['method']} {line['path']}: {at}: {said}" for at, said in found]


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
