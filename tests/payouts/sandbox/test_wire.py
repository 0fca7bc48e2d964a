"""The protocol itself: keys, bodies, versions, errors, lists, expansion."""

import base64
import json

import httpx
import pytest
import stripe

from core.authorities import authorities
from tests.payouts.sandbox.platform import KEY, Platform
from tests.payouts.stripe_requests import refused

BEARER = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": "k"}


async def test_keys_come_as_bearer_or_basic(shop: Platform) -> None:
    basic = base64.b64encode(f"{KEY}:".encode()).decode()
    for authorization in (f"Bearer {KEY}", f"Basic {basic}"):
        answer = await shop.http.get("/v1/balance", headers={"Authorization": authorization})
        assert answer.status_code == 200
        assert answer.headers["request-id"].startswith("req_")
        assert answer.headers["stripe-version"] == "2026-10-28.endive"
    for headers in ({}, {"Authorization": "Bearer sk_test_other"}, {"Authorization": "Basic %"}):
        answer = await shop.http.get("/v1/balance", headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"]["type"] == "invalid_request_error"
    assert (await shop.http.get("/_control/state")).status_code == 401


async def test_form_and_json_say_the_same(shop: Platform) -> None:
    form = "name=Ada&metadata[a]=1&preferred_locales[]=en&preferred_locales[]=de"
    kinds = ((form, "application/x-www-form-urlencoded"), (None, "application/json"))
    made = []
    for number, (text, kind) in enumerate(kinds):
        tree = {"name": "Ada", "metadata": {"a": 1}, "preferred_locales": ["en", "de"]}
        headers = BEARER | {"Content-Type": kind, "Idempotency-Key": f"k{number}"}
        answer = await shop.http.post(
            "/v1/customers", content=text or json.dumps(tree), headers=headers
        )
        assert answer.status_code == 200, answer.text
        made.append({k: v for k, v in answer.json().items() if k not in ("id", "created")})
    assert made[0] == made[1]
    assert made[0]["metadata"] == {"a": "1"}


@pytest.mark.parametrize(
    ("path", "body", "code", "param"),
    [
        ("transfers", "amount=1&currency=usd", "parameter_missing", "destination"),
        ("transfers", "amount=x&currency=usd&destination=a", "parameter_invalid_integer", "amount"),
        ("customers", "nickname=x", "parameter_unknown", "nickname"),
        ("customers", "name[a]=x", None, "name"),
        ("customers", "[]=x", None, None),
        ("nowhere", "", "url_invalid", None),
        ("refunds", "charge=ch_none", "resource_missing", "charge"),
        ("payment_intents/pi_x/confirm", "", "resource_missing", "intent"),
        (
            "checkout/sessions",
            "mode=payment&success_url=x&line_items[0][price_data][currency]=usd"
            "&line_items[0][price_data][unit_amount]=-1"
            "&line_items[0][price_data][product_data][name]=x",
            None,
            "line_items[0][price_data][unit_amount]",
        ),
    ],
)
async def test_what_is_wrong_is_named(
    shop: Platform, path: str, body: str, code: str | None, param: str | None
) -> None:
    headers = BEARER | {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await shop.http.post(f"/v1/{path}", content=body, headers=headers)
    error = answer.json()["error"]
    assert answer.status_code in (400, 404), answer.text
    assert (error.get("code"), error.get("param")) == (code, param)


async def test_versions_and_accounts_are_checked(shop: Platform) -> None:
    headers = {"Stripe-Version": "yesterday", **BEARER}
    answer = await shop.http.get("/v1/balance", headers=headers)
    assert "Invalid Stripe API version" in answer.json()["error"]["message"]
    with pytest.raises(stripe.PermissionError):
        await shop.v1.balance.retrieve_async({}, {"stripe_account": "acct_unknown"})
    for path, bad in (("customers", b"{"), ("customers", b"[]")):
        headers = BEARER | {"Content-Type": "application/json"}
        answer = await shop.http.post(f"/v1/{path}", content=bad, headers=headers)
        assert answer.status_code == 400
    answer = await shop.http.post("/v1/customers", content=b"x" * 1_000_001, headers=BEARER)
    assert answer.status_code == 413


async def test_lists_are_walked_both_ways(shop: Platform) -> None:
    names = [f"Ada {number}" for number in range(5)]
    for name in names:
        await shop.v1.customers.create_async({"name": name})
    listed = await shop.v1.customers.list_async({"limit": 2})
    assert listed["has_more"]
    walked = [each["name"] async for each in listed.auto_paging_iter()]
    assert walked == names[::-1]
    last = (await shop.v1.customers.list_async({"limit": 100}))["data"][-1]["id"]
    before = await shop.v1.customers.list_async({"limit": 2, "ending_before": last})
    assert [each["name"] for each in before["data"]] == [names[2], names[1]]
    assert before["has_more"]
    now = shop.world.now()
    none = await shop.v1.customers.list_async({"created": {"gt": now + 5}})
    all_ = await shop.v1.customers.list_async({"created": {"gte": now - 60, "lte": now + 5}})
    assert (len(none["data"]), len(all_["data"])) == (0, 5)
    with pytest.raises(stripe.InvalidRequestError):
        await shop.v1.customers.list_async({"starting_after": "cus_none"})


async def test_expansion_follows_ids_and_refuses_the_rest(shop: Platform) -> None:
    session = await shop.paid()
    charge = session["payment_intent"]["latest_charge"]["id"]
    expand = ["balance_transaction", "payment_intent.payment_method"]
    found = await shop.v1.charges.retrieve_async(charge, {"expand": expand})
    assert found["balance_transaction"]["object"] == "balance_transaction"
    assert found["payment_intent"]["payment_method"]["card"]["last4"] == "4242"
    listed = await shop.v1.charges.list_async({"expand": ["data.balance_transaction"]})
    assert listed["data"][0]["balance_transaction"]["net"] == 649
    for wrong in (["amount"], ["a.b.c.d.e"]):
        with pytest.raises(stripe.InvalidRequestError, match="expand"):
            await shop.v1.charges.retrieve_async(charge, {"expand": wrong})
    sessions = await shop.v1.checkout.sessions.list_async({"expand": ["data.line_items"]})
    assert sessions["data"][0]["line_items"]["data"][0]["quantity"] == 1
    items = await shop.v1.checkout.sessions.line_items.list_async(session["id"])
    assert items["data"][0]["description"] == "500 Stars"


async def test_only_this_machine_is_answered(shop: Platform) -> None:
    for host, status in (("evil.example", 421), ("localhost:1", 404), ("[::1]", 404)):
        answer = await shop.http.get("/nothing", headers={"Host": host})
        assert answer.status_code == status
    async with httpx.AsyncClient(base_url=shop.world.base_url, verify=authorities()) as stranger:
        assert (await stranger.get("/_pages/sandbox.css")).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/v1/transfers", "amount=1&currency=usd", "destination: missing"),
        ("/v1/transfers", "amount=1.5&currency=usd&destination=a", "is no int"),
        ("/v1/refunds", "charge=ch_1&metadata[a][b]=1", "metadata"),
        ("/v1/refunds", "charge=ch_1&why=x", "why: unknown"),
        ("/v1/accounts", "controller[fees][payer]=me", "is none of"),
        ("/v1/accounts", "capabilities[transfers]=on", "expected a hash"),
        ("/v1/checkout/sessions", "line_items=x", "expected a list"),
        ("/v1/nothing", "", "no such endpoint"),
    ],
)
def test_the_requests_checker_sees_what_the_library_lets_through(
    path: str, body: str, said: str
) -> None:
    line = {"method": "POST", "path": path, "body": body, "headers": {"idempotency-key": "k"}}
    [problem] = refused(line)
    assert said in problem
    fine = {"method": "POST", "path": "/v1/refunds", "body": "charge=ch_1", "headers": {}}
    assert refused(fine) == ["POST without Idempotency-Key"]
    assert refused(fine, key_required=False) == []
