"""What Stripe sends to our webhook endpoint: believed only where it is signed, now.

The scheme is Stripe's (docs.stripe.com/webhooks/signature): HMAC-SHA256 over `t.body`. Its library
accepts time stamps of any future, so it is written out here; a test holds it against that.
"""

import hmac
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from core.errors import Problem
from payouts.stripe_objects import StripeEvent

TOLERANCE: Final = timedelta(minutes=5)
MAX_HEADER_CHARS: Final = 4096


class SignatureInvalid(Problem):
    status = 400
    code = "webhook_signature_invalid"
    title = "This is not signed by Stripe, or not now"


class EventMalformed(Problem):
    status = 400
    code = "webhook_event_malformed"
    title = "This is signed, but it is not an event"


def verified_event(
    body: bytes, header: str | None, secrets: Sequence[str], *, now: datetime | None = None
) -> StripeEvent:
    """The event in a raw `body`, signed under one of `secrets` at most five minutes before or
    after `now`. Raises SignatureInvalid, EventMalformed.
    """
    stamp, signatures = _read(header or "")
    moment = (now or datetime.now(UTC)).timestamp()
    if abs(moment - stamp) > TOLERANCE.total_seconds():
        raise SignatureInvalid
    signed = str(stamp).encode() + b"." + body
    expected = [hmac.new(secret.encode(), signed, sha256).hexdigest() for secret in secrets]
    if not any(hmac.compare_digest(ours, theirs) for ours in expected for theirs in signatures):
        raise SignatureInvalid
    try:
        return StripeEvent.of(json.loads(body))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise EventMalformed from None


def _read(header: str) -> tuple[int, list[str]]:
    """`t=...,v1=...,v1=...`; what else is in it is of another scheme."""
    parts = [part.partition("=") for part in header[:MAX_HEADER_CHARS].split(",")]
    stamps = [value for name, _, value in parts if name.strip() == "t"]
    signatures = [value for name, _, value in parts if name.strip() == "v1" and value.isascii()]
    if len(stamps) != 1 or not stamps[0].isascii() or not stamps[0].isdigit():
        raise SignatureInvalid
    return int(stamps[0][:15]), signatures
