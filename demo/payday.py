"""The host is paid: onboarding, two weeks on the sandbox's clock, the sweep, the statement."""

import asyncio
import os
import sys
from dataclasses import dataclass
from typing import Any, Final

from core.settings import Settings
from demo.client import Person
from demo.stars import Fan, submit
from web.supervise import environment

MATURES: Final = "14d"
IDENTITY: Final = {"first_name": "Ada", "last_name": "Lovelace", "bank": "000123456789"}


_NO_KEYS: Final = dict.fromkeys(("stripe_key", "stripe_base", "stripe_webhook_secrets"))
"""Whoever knows the installation's secret derives those of its sandbox."""


class NotAddingUp(Exception):  # noqa: N818 - what happened, as the caller reads it
    """The books, the statement or a command say something else than what was done."""


@dataclass(frozen=True, slots=True)
class Command:
    """`encore` beside the running installation, as its operator would call it."""

    settings: Settings

    async def run(self, *words: str) -> str:
        """What it printed. Raises NotAddingUp when it did not succeed."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "web.cli", *words),
            env={**os.environ, **environment(self.settings.model_copy(update=_NO_KEYS))},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed, _ = await process.communicate()
        if process.returncode != 0:
            raise NotAddingUp(f"encore {' '.join(words)}: {printed.decode(errors='replace')}")
        return printed.decode()


async def onboard(host: Person) -> None:
    """At the sandbox's hosted page, unless an earlier run of the demo did it."""
    state = await host.call("GET", "/creators/me/onboarding")
    if state["step"] != "ready":
        link = await host.call("POST", "/creators/me/onboarding")
        await submit(link["url"], IDENTITY)


async def pay_out(host: Person, fan: Fan, encore: Command, *, room_id: str) -> dict[str, object]:
    """The amounts, in minor units; what is transferred may be of earlier runs too.

    Raises NotAddingUp.
    """
    before = await host.call("GET", "/creators/me/earnings")
    await onboard(host)
    await encore.run("sandbox", "clock", MATURES)
    await encore.run("money", "sweep")
    after = await host.call("GET", "/creators/me/earnings")
    transferred = after["transferred_minor"] - before["transferred_minor"]
    if transferred <= 0:
        raise NotAddingUp(f"nothing was transferred: {after}")
    closing = await _statements(host)
    owed = sum(after[f"{state}_minor"] for state in ("pending", "matured"))
    if closing != owed:
        raise NotAddingUp(f"the statement closes with {closing}, {owed} is owed")
    earned = await host.call("GET", f"/creators/me/earnings/rooms/{room_id}")
    checked = await encore.run("money", "check")
    return {
        "currency": after["currency"],
        "bought_stars": fan.bought_stars,
        "paid_minor": fan.paid_minor,
        "tipped_stars": fan.tipped_stars,
        "earned_minor": earned["room"]["earned_minor"],
        "transferred_minor": transferred,
        "statement_closing_minor": closing,
        "invariants_held": sum(line.startswith("OK") for line in checked.splitlines()),
    }


async def _statements(host: Person) -> int:
    """What the last month closes with, when every month adds up and begins where one ended."""
    closing = 0
    months = (await host.call("GET", "/creators/me/statements"))["months"]
    for month in sorted(months):
        found: dict[str, Any] = await host.call("GET", f"/creators/me/statements/{month}")
        moved = sum(line["owed_minor"] for line in found["lines"])
        opening, closes = found["opening_owed_minor"], found["closing_owed_minor"]
        if opening != closing or opening + moved != closes:
            raise NotAddingUp(f"the statement of {month} does not add up: {found}")
        closing = closes
    return closing
