"""Stripe's idempotency (docs.stripe.com/api/idempotent_requests): the first answer to a key is
the answer to all requests with it, for a day of the test clock."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from payouts.sandbox.refusal import Refusal
from payouts.sandbox.store import Object
from payouts.sandbox.world import DAY, Call


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Object
    request_id: str


def fingerprint(method: str, path: str, tree: dict[str, Any]) -> str:
    text = json.dumps([method, path, tree], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def known_answer(call: Call, key: str, request: str) -> Answer | None:
    """The answer kept for this key. Raises Refusal if it was used for another request."""
    call.store.sql.execute("delete from idempotency where created <= ?", (call.now - DAY,))
    row = call.store.sql.execute(
        "select request, status, answer, request_id from idempotency where account = ? and key = ?",
        (call.account, key),
    ).fetchone()
    if row is None:
        return None
    if row["request"] != request:
        raise Refusal(
            "Keys for idempotent requests can only be used with the same parameters they were "
            f"first used with. Try using a key other than '{key}' if you meant to execute a "
            "different request.",
            type="idempotency_error",
        )
    return Answer(row["status"], json.loads(row["answer"]), row["request_id"])


def keep_answer(call: Call, key: str, request: str, answer: Answer) -> None:
    call.store.sql.execute(
        "insert or replace into idempotency values (?, ?, ?, ?, ?, ?, ?)",
        (
            call.account,
            key,
            request,
            answer.status,
            json.dumps(answer.body),
            answer.request_id,
            call.now,
        ),
    )


def in_flight(key: str) -> Refusal:
    return Refusal(
        "There is currently another in-progress request using this Idempotent Key (that probably "
        f"means you submitted twice, and the other request is still going through): {key}",
        status=409,
        type="idempotency_error",
        code="idempotency_key_in_use",
    )
