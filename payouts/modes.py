"""Test money and live money: which of them a key of Stripe's moves."""

import re
from typing import Final

from core.errors import Problem

_KEY: Final = re.compile(r"[sr]k_(test|live)_\w")


class WrongMode(Problem):
    status = 503
    code = "stripe_wrong_mode"
    title = "Test money and live money don't mix"


def livemode_of(key: str) -> bool:
    """By how Stripe's secret and restricted keys begin. Raises WrongMode for any other."""
    if (kind := _KEY.match(key)) is None:
        raise WrongMode("ENCORE_STRIPE_KEY is no secret key: sk_test_..., sk_live_... or rk_...")
    return kind[1] == "live"
