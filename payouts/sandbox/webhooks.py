"""Sends events to webhook endpoints: signed, in order for each endpoint, retried until accepted."""

import asyncio
import fnmatch
import hashlib
import hmac
import json
import logging
import sqlite3
import time
from collections.abc import Iterable
from typing import Final

import httpx

from payouts.sandbox.faults import Tampering, WebhookAction, WebhookFault, webhook_fault
from payouts.sandbox.rendering import rendered
from payouts.sandbox.store import Object
from payouts.sandbox.world import Call, World

log = logging.getLogger(__name__)

RETRY_SECONDS: Final = (0.5, 1, 2, 5, 15, 60, 300, 3600)
"""Delays of retries on the machine's clock, the last one repeated; Stripe waits longer."""
GIVE_UP_AFTER: Final = 30
TIMEOUT_SECONDS: Final = 10.0
STALE_SECONDS: Final = 600


def enqueue(call: Call, event: Object) -> int:
    """Queues the event for every endpoint that listens to it; returns how many there are."""
    wanted = [endpoint for endpoint in _endpoints(call) if _wants(endpoint, event["type"])]
    for endpoint in wanted:
        _queue(call, event, endpoint, webhook_fault(call.store, event["type"]))
    if wanted:
        call.world.pulse.set()
    return len(wanted)


def queue_again(call: Call, event: Object) -> None:
    """Queues the event for every endpoint, without applying faults."""
    for endpoint in _endpoints(call):
        _queue(call, event, endpoint, None)
    call.world.pulse.set()


def release(world: World, *, newest_first: bool) -> int:
    """Sends what was held, one after the other in this order; returns how many events."""
    with world.store.transaction():
        rows = _rows(world, "state = 'held'")
        for row in reversed(rows) if newest_first else rows:
            world.store.sql.execute("delete from deliveries where place = ?", (row["place"],))
            world.store.sql.execute(
                "insert into deliveries (event, endpoint, state, due) values (?, ?, 'due', 0)",
                (row["event"], row["endpoint"]),
            )
    world.pulse.set()
    return len(rows)


def signature(secret: str, payload: bytes, stamp: int) -> str:
    """The Stripe-Signature header (docs.stripe.com/webhooks/signature)."""
    signed = str(stamp).encode() + b"." + payload
    mac = hmac.new(secret.encode(), signed, hashlib.sha256)
    return f"t={stamp},v1={mac.hexdigest()}"


def _endpoints(call: Call) -> list[Object]:
    """The endpoints for events of this account: `connect` ones unless it is the platform's own."""
    connect = not call.on_platform
    of_platform = call.store.select("webhook_endpoint", call.world.platform)
    found = [e for e in of_platform if e["_connect"] == connect and e["status"] == "enabled"]
    return found[::-1]


def _wants(endpoint: Object, type: str) -> bool:
    return any(fnmatch.fnmatchcase(type, pattern) for pattern in endpoint["enabled_events"])


def _queue(call: Call, event: Object, endpoint: Object, fault: WebhookFault | None) -> None:
    action = fault.action if fault else None
    if fault is None or action is None:
        state, due, copies, tampering = "due", 0.0, 1, None
    else:
        state = {WebhookAction.HOLD: "held", WebhookAction.DROP: "dropped"}.get(action, "due")
        due = time.time() + fault.seconds if action == WebhookAction.DELAY else 0.0
        copies = fault.times if action == WebhookAction.REPEAT else 1
        tampering = fault.tampering if action == WebhookAction.TAMPER else None
    call.store.sql.execute(
        "insert into deliveries (event, endpoint, state, due, copies, tampering) "
        "values (?, ?, ?, ?, ?, ?)",
        (event["id"], endpoint["id"], state, due, copies, tampering),
    )


def _rows(world: World, condition: str, *values: object) -> list[sqlite3.Row]:
    query = f"select * from deliveries where {condition} order by place"  # noqa: S608 - from here
    return world.store.sql.execute(query, values).fetchall()


def next_due(world: World) -> float | None:
    """When the next delivery is due, in seconds since 1970 of the machine's clock."""
    row = world.store.sql.execute(
        "select min(due) as due from deliveries where state = 'due'"
    ).fetchone()
    return None if row["due"] is None else float(row["due"])


def hurry(world: World) -> None:
    """Makes all retries due now, since the test clock was moved."""
    world.store.sql.execute("update deliveries set due = 0 where state = 'due' and attempts > 0")
    world.pulse.set()


async def deliver(world: World, client: httpx.AsyncClient) -> None:
    """Sends what is due: to several endpoints at once, to each of them in order."""
    rows = _rows(world, "state = 'due' and due <= ?", time.time())
    by_endpoint: dict[str, list[sqlite3.Row]] = {}
    for row in rows:
        by_endpoint.setdefault(row["endpoint"], []).append(row)
    await asyncio.gather(*(_in_order(world, client, each) for each in by_endpoint.values()))


async def _in_order(world: World, client: httpx.AsyncClient, rows: Iterable[sqlite3.Row]) -> None:
    for row in rows:
        event, endpoint = world.store.find(row["event"]), world.store.find(row["endpoint"])
        if event is None or endpoint is None:
            world.store.sql.execute("delete from deliveries where place = ?", (row["place"],))
            continue
        sending = [_send(world, client, event, endpoint, row) for _ in range(row["copies"])]
        taken = all(await asyncio.gather(*sending))
        _settle(world, row, taken=taken)


async def _send(
    world: World, client: httpx.AsyncClient, event: Object, endpoint: Object, row: sqlite3.Row
) -> bool:
    """Returns whether the endpoint accepted it, with a 2xx in time."""
    payload = json.dumps(rendered(world, event)).encode()
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": _header(endpoint["_secret"], payload, row["tampering"]),
        "User-Agent": "Stripe/1.0 (Encore sandbox)",
    }
    if row["tampering"] == Tampering.BODY:
        payload = payload.replace(b'"livemode": false', b'"livemode": true ')
    try:
        answer = await client.post(endpoint["url"], content=payload, headers=headers)
    except httpx.HTTPError as error:
        log.warning("%s was not delivered: %s", event["id"], type(error).__name__)
        return False
    if not answer.is_success:
        log.warning("%s was answered with %s", event["id"], answer.status_code)
    return answer.is_success


def _header(secret: str, payload: bytes, tampering: str | None) -> str:
    """Uses the machine's time, as the receiver checks it, and not the test clock."""
    moved = {Tampering.STALE: -STALE_SECONDS, Tampering.FUTURE: STALE_SECONDS}
    stamp = int(time.time()) + (moved.get(Tampering(tampering), 0) if tampering else 0)
    if tampering == Tampering.SIGNATURE:
        secret += "x"
    return signature(secret, payload, stamp)


def _settle(world: World, row: sqlite3.Row, *, taken: bool) -> None:
    """Notes the attempt. A tampered delivery is not retried, since nobody would accept it."""
    attempts = row["attempts"] + 1
    over = taken or row["tampering"] is not None or attempts >= GIVE_UP_AFTER
    state = ("delivered" if taken else "failed") if over else "due"
    due = time.time() + RETRY_SECONDS[min(attempts, len(RETRY_SECONDS)) - 1]
    with world.store.transaction():
        world.store.sql.execute(
            "update deliveries set state = ?, due = ?, attempts = ?, copies = 1 where place = ?",
            (state, due, attempts, row["place"]),
        )
        event = world.store.find(row["event"])
        if taken and event is not None:
            event["pending_webhooks"] = max(0, event["pending_webhooks"] - 1)
            world.store.put(event)
