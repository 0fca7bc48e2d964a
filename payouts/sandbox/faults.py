"""Faults on request: rules that the control API sets, each for a number of times.

They are kept in the store, so that a process killed by one does not meet it again when restarted.
"""

import fnmatch
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from payouts.sandbox.store import Store


class RequestAction(StrEnum):
    ERROR = "error"
    """Answers `status`."""
    TIMEOUT = "timeout"
    """Never answers."""
    DISCONNECT = "disconnect"
    """Closes the connection without an answer."""
    DIE = "die"
    """The process ends at once, as by kill -9."""
    SLOW = "slow"
    """Waits `seconds` before it does anything; the idempotency key is in flight meanwhile."""


class When(StrEnum):
    BEFORE = "before"
    AFTER = "after"
    """What was asked for has been done and committed."""


class RequestFault(BaseModel):
    """Applies to the next `count` requests of this method and path, after skipping `skip`."""

    model_config = ConfigDict(extra="forbid")

    method: str = "*"
    path: str = "/v1/*"
    action: RequestAction
    when: When = When.BEFORE
    status: Annotated[int, Field(ge=400, le=599)] = 500
    seconds: Annotated[float, Field(ge=0, le=600)] = 1.0
    skip: Annotated[int, Field(ge=0)] = 0
    count: Annotated[int, Field(ge=1)] = 1


class WebhookAction(StrEnum):
    DROP = "drop"
    """It is never sent."""
    REPEAT = "repeat"
    """It is sent `times` times at once."""
    DELAY = "delay"
    """It is sent after `seconds`."""
    HOLD = "hold"
    """It is sent when the control API releases what is held, in the order asked for."""
    TAMPER = "tamper"
    """It is sent as `tampering` says."""


class Tampering(StrEnum):
    SIGNATURE = "signature"
    BODY = "body"
    STALE = "stale"
    """Stamped and signed ten minutes ago."""
    FUTURE = "future"


class WebhookFault(BaseModel):
    """Applies to the next `count` deliveries of events of this type, after skipping `skip`."""

    model_config = ConfigDict(extra="forbid")

    type: str = "*"
    action: WebhookAction
    times: Annotated[int, Field(ge=1, le=50)] = 5
    seconds: Annotated[float, Field(ge=0, le=86_400)] = 1.0
    tampering: Tampering = Tampering.SIGNATURE
    skip: Annotated[int, Field(ge=0)] = 0
    count: Annotated[int, Field(ge=1)] = 1


def add_fault(store: Store, rule: RequestFault | WebhookFault) -> None:
    target = "request" if isinstance(rule, RequestFault) else "webhook"
    store.sql.execute(
        "insert into faults (target, rule, skip, remaining) values (?, ?, ?, ?)",
        (target, rule.model_dump_json(), rule.skip, rule.count),
    )


def clear_faults(store: Store) -> None:
    store.sql.execute("delete from faults")


def request_fault(store: Store, method: str, path: str) -> RequestFault | None:
    """The first rule that applies to the request; this uses it up by one."""
    for place, text in _rules(store, "request"):
        rule = RequestFault.model_validate_json(text)
        matches = fnmatch.fnmatchcase(path, rule.path) and rule.method in ("*", method)
        if matches and _taken(store, place):
            return rule
    return None


def webhook_fault(store: Store, type: str) -> WebhookFault | None:
    for place, text in _rules(store, "webhook"):
        rule = WebhookFault.model_validate_json(text)
        if fnmatch.fnmatchcase(type, rule.type) and _taken(store, place):
            return rule
    return None


def _rules(store: Store, target: str) -> list[tuple[int, str]]:
    rows = store.sql.execute(
        "select place, rule from faults where target = ? and remaining > 0 order by place",
        (target,),
    )
    return [(row["place"], row["rule"]) for row in rows.fetchall()]


def _taken(store: Store, place: int) -> bool:
    """Uses the rule up by one; False if this one is still to be skipped."""
    skipped = store.sql.execute(
        "update faults set skip = skip - 1 where place = ? and skip > 0", (place,)
    )
    if skipped.rowcount:
        return False
    store.sql.execute("update faults set remaining = remaining - 1 where place = ?", (place,))
    return True
