"""Stripe's HTTP: authentication, parameters, idempotency, faults, the envelope of answers."""

import asyncio
import base64
import binascii
import hmac
import json
import logging
import re
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from payouts.sandbox.endpoints import Endpoint, endpoint_of
from payouts.sandbox.faults import RequestAction, RequestFault, When, request_fault
from payouts.sandbox.hazards import Hazards
from payouts.sandbox.idempotency import Answer, fingerprint, in_flight, keep_answer, known_answer
from payouts.sandbox.params import Params, from_form, from_json
from payouts.sandbox.refusal import Refusal, invalid, no_access
from payouts.sandbox.rendering import rendered, rendered_list
from payouts.sandbox.store import Object
from payouts.sandbox.world import API_VERSION, Call, World, new_id

log = logging.getLogger(__name__)

VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(\.[a-z]+)?")
MAX_BODY_BYTES = 1_000_000
MAX_KEY_LENGTH = 255


@dataclass(slots=True)
class Wire:
    """Answers every request below /v1 of one world."""

    world: World
    hazards: Hazards
    busy_keys: set[tuple[str, str]] = field(default_factory=set)
    """Account and idempotency key of each slow request that is being answered."""

    async def answer(self, request: Request) -> Response:
        request_id = new_id("req", 14)
        body = await request.body()
        try:
            call = self._caller(request, request_id)
            fault = request_fault(self.world.store, request.method, request.url.path)
            answer = await self._with_fault(call, request, body, fault)
        except Refusal as refusal:
            answer = Answer(refusal.status, refusal.body(), request_id)
        except Exception:
            log.exception("the sandbox failed at %s", request.url.path)
            answer = Answer(500, _server_error().body(), request_id)
        self.hazards.record(request, body, answer)
        return _response(request, answer, replayed=answer.request_id != request_id)

    def _caller(self, request: Request, request_id: str) -> Call:
        """Checks key, version and account. Raises Refusal."""
        authorization = request.headers.get("authorization", "")
        if not key_matches(self.world, authorization):
            key = _key_of(authorization)
            shown = f"{key[:8]}***{key[-4:]}" if len(key) > 16 else "***"
            raise Refusal(f"Invalid API Key provided: {shown}", status=401)
        version = request.headers.get("stripe-version")
        if version is not None and not VERSION.fullmatch(version):
            raise invalid(f"Invalid Stripe API version: {version}")
        account = request.headers.get("stripe-account") or self.world.platform
        if account != self.world.platform and not _connected(self.world, account):
            raise no_access(account)
        key = request.headers.get("idempotency-key", "")
        if len(key) > MAX_KEY_LENGTH:
            raise invalid("Idempotency keys are at most 255 characters long.")
        posted = request.method == "POST" and key
        return Call(self.world, account, request_id, key if posted else None)

    async def _with_fault(
        self, call: Call, request: Request, body: bytes, fault: RequestFault | None
    ) -> Answer:
        if fault is None:
            return self._answer(call, request, body, None)
        if fault.action == RequestAction.ERROR:
            return self._answer(call, request, body, fault)
        if fault.action == RequestAction.SLOW:
            return await self._slowly(call, request, body, fault.seconds)
        if fault.when == When.AFTER:
            self._answer(call, request, body, None)
        await self.hazards.apply(request, fault.action)
        raise _server_error()

    async def _slowly(self, call: Call, request: Request, body: bytes, seconds: float) -> Answer:
        key = (call.account, call.idempotency_key or "")
        self.busy_keys.add(key)
        try:
            await asyncio.sleep(seconds)
        finally:
            self.busy_keys.discard(key)
        return self._answer(call, request, body, None)

    def _answer(
        self, call: Call, request: Request, body: bytes, fault: RequestFault | None
    ) -> Answer:
        """Runs the endpoint in one transaction. `fault`: the error to answer with instead."""
        request_id = call.request_id or ""
        if fault is not None and fault.status == 429:
            raise _too_many()
        endpoint, ids = _route(request)
        tree = _tree(request, body)
        if call.idempotency_key is None:
            with call.store.transaction():
                return _run(call, endpoint, tree, ids, fault)
        if (call.account, call.idempotency_key) in self.busy_keys:
            raise in_flight(call.idempotency_key)
        asked = fingerprint(request.method, request.url.path, tree)
        with call.store.transaction():
            known = known_answer(call, call.idempotency_key, asked)
            if known is not None:
                return known
            endpoint.checked(tree)  # what is refused before it begins is not kept
            answer = _kept(call, endpoint, tree, ids, fault)
            keep_answer(call, call.idempotency_key, asked, answer)
        self.world.pulse.set()
        return Answer(answer.status, answer.body, request_id)


def key_matches(world: World, authorization: str) -> bool:
    """Raises Refusal for a header without a key."""
    return hmac.compare_digest(_key_of(authorization).encode(), world.key.encode())


def _kept(
    call: Call,
    endpoint: Endpoint,
    tree: dict[str, Any],
    ids: dict[str, str],
    fault: RequestFault | None,
) -> Answer:
    """The answer to keep for the key. A refusal is kept too, and what was done before is undone."""
    call.store.sql.execute("savepoint doing")
    try:
        return _run(call, endpoint, tree, ids, fault)
    except Refusal as refusal:
        call.store.sql.execute("rollback to doing")
        return Answer(refusal.status, refusal.body(), call.request_id or "")


def _run(
    call: Call,
    endpoint: Endpoint,
    tree: dict[str, Any],
    ids: dict[str, str],
    fault: RequestFault | None,
) -> Answer:
    request_id = call.request_id or ""
    if fault is not None and fault.when == When.BEFORE:
        raise _failing(fault.status)
    try:
        body, params = endpoint.run(call, tree, ids)
        answer = Answer(200, _shown(call, body, params), request_id)
    except Refusal as refusal:
        if not refusal.keep:
            raise
        answer = Answer(refusal.status, refusal.body(), request_id)
    if fault is not None:
        return Answer(fault.status, _failing(fault.status).body(), request_id)
    return answer


def _shown(call: Call, body: Object, params: Params) -> Object:
    if body.get("object") == "list":
        return rendered_list(call.world, body, params.expand)
    return rendered(call.world, body, params.expand)


def _key_of(authorization: str) -> str:
    """Of `Bearer sk_...`, or of `Basic`, where it is the user name. Raises Refusal."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError) as error:
            raise Refusal("Invalid API Key provided: ***", status=401) from error
    raise Refusal(
        "You did not provide an API key. You need to provide your API key in the Authorization "
        "header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
        status=401,
    )


def _connected(world: World, account: str) -> bool:
    found = world.store.find(account, account=world.platform)
    return found is not None and found["object"] == "account" and not found.get("deleted")


def _route(request: Request) -> tuple[Endpoint, dict[str, str]]:
    found = endpoint_of(request.method, request.url.path)
    if found is None:
        where = f"{request.method}: {request.url.path}"
        raise Refusal(f"Unrecognized request URL ({where}).", status=404, code="url_invalid")
    return found


def _tree(request: Request, body: bytes) -> dict[str, Any]:
    if len(body) > MAX_BODY_BYTES:
        raise Refusal("Request too large.", status=413)
    if request.method != "POST":
        return from_form(request.url.query)
    if request.headers.get("content-type", "").startswith("application/json"):
        return from_json(body)
    return from_form(body.decode("utf-8", "replace"))


def _failing(status: int) -> Refusal:
    return _server_error(status) if status >= 500 else invalid("The sandbox was told to refuse.")


def _server_error(status: int = 500) -> Refusal:
    said = "An unknown error occurred"
    return Refusal(said, status=status, type="api_error")


def _too_many() -> Refusal:
    return Refusal("Request rate limit exceeded.", status=429, code="rate_limit")


def _response(request: Request, answer: Answer, *, replayed: bool) -> Response:
    headers = {
        "Request-Id": answer.request_id,
        "Stripe-Version": request.headers.get("stripe-version", API_VERSION),
        "Cache-Control": "no-cache, no-store",
    }
    if key := request.headers.get("idempotency-key"):
        headers["Idempotency-Key"] = key
        if replayed:
            headers["Idempotent-Replayed"] = "true"
            headers["Original-Request"] = answer.request_id
    if account := request.headers.get("stripe-account"):
        headers["Stripe-Account"] = account
    text = json.dumps(answer.body)
    return Response(text, answer.status, headers, media_type="application/json")
