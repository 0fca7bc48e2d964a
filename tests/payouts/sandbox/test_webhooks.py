"""Events on their way: lost, repeated, late, reordered, falsified, sent again."""

from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe

from core.authorities import authorities
from payouts.sandbox.process import Hook, Options, serving
from payouts.sandbox.refusal import Refusal
from payouts.sandbox.resources.webhook_endpoints import local
from tests.payouts.sandbox.platform import KEY, PLATFORM_SECRET, Platform, inbox
from tests.polling import eventually, until

CREATED = "customer.created"


async def customers(shop: Platform, number: int) -> list[str]:
    return [
        (await shop.v1.customers.create_async({"name": f"Ada {n}"}))["id"] for n in range(number)
    ]


def ids(shop: Platform) -> list[str]:
    return [event["data"]["object"]["id"] for event in shop.platform_box.events()]


async def states(shop: Platform) -> dict[str, int]:
    answer = await shop.http.get(
        "/_control/state", headers={"Authorization": f"Bearer {shop.world.key}"}
    )
    found: dict[str, int] = answer.json()["deliveries"]
    return found


async def rule(shop: Platform, action: str, **more: Any) -> None:
    await shop.control("faults/webhooks", action=action, type="customer.*", **more)


async def test_they_come_in_order_until_one_is_refused(shop: Platform) -> None:
    shop.platform_box.status = 500
    made = await customers(shop, 2)
    await until(lambda: len(shop.platform_box.came) >= 2)
    [newest, *_] = (await shop.v1.events.list_async({"type": CREATED}))["data"]
    assert newest["pending_webhooks"] == 1
    shop.platform_box.status = 200
    await shop.control("clock", advance_seconds=1)

    async def delivered() -> bool:
        return (await states(shop)) == {"delivered": 2}

    await eventually(delivered)
    assert ids(shop)[:2] == made
    assert (await shop.v1.events.retrieve_async(newest["id"]))["pending_webhooks"] == 0


async def test_drop_repeat_and_delay(shop: Platform) -> None:
    await rule(shop, "drop")
    await rule(shop, "repeat", times=5)
    await rule(shop, "delay", seconds=0.2)
    lost, often, late, plain = await customers(shop, 4)
    await until(lambda: late in ids(shop))
    came = ids(shop)
    assert lost not in came
    assert came.count(often) == 5
    assert came.index(plain) < came.index(late)
    sent = shop.platform_box.events()
    assert len({event["id"] for event in sent}) == 3
    listed = await shop.v1.events.list_async({"types": [CREATED]})
    assert len(listed["data"]) == 4


async def test_what_is_held_is_released_in_another_order(shop: Platform) -> None:
    await rule(shop, "hold", count=3)
    made = await customers(shop, 3)
    assert await states(shop) == {"held": 3}
    told = await shop.control("webhooks/release", order="newest_first")
    assert told["released"] == 3
    await until(lambda: len(shop.platform_box.came) == 3)
    assert ids(shop) == made[::-1]


@pytest.mark.parametrize("tampering", ["signature", "body", "stale"])
async def test_falsified_ones_are_seen_through(shop: Platform, tampering: str) -> None:
    await rule(shop, "tamper", tampering=tampering)
    await customers(shop, 1)
    await until(lambda: bool(shop.platform_box.came))
    signature, body = shop.platform_box.came[0]
    with pytest.raises(stripe.SignatureVerificationError):
        shop.client.construct_event(body, signature, PLATFORM_SECRET)


async def test_events_are_sent_again_or_made_up(shop: Platform) -> None:
    await customers(shop, 1)
    await until(lambda: len(shop.platform_box.came) == 1)
    [event] = (await shop.v1.events.list_async())["data"]
    await shop.control("events/resend", event=event["id"])
    second = await shop.control("events/resend", event=event["id"], as_new=True)
    made = await shop.control(
        "events", type="moon.risen", object={"id": "moon_1"}, api_version="2020-08-27"
    )
    await until(lambda: len(shop.platform_box.came) == 4)
    found = shop.platform_box.events()
    assert [each["id"] for each in found] == [event["id"]] * 2 + [second["id"], made["id"]]
    assert found[2]["data"] == found[0]["data"]
    assert (found[3]["type"], found[3]["api_version"]) == ("moon.risen", "2020-08-27")


async def test_endpoints_are_made_changed_and_deleted(shop: Platform) -> None:
    params = {"url": shop.connect_box.url, "enabled_events": [CREATED], "metadata": {"a": "b"}}
    made = await shop.v1.webhook_endpoints.create_async(params)
    assert made["secret"].startswith("whsec_")
    assert "secret" not in await shop.v1.webhook_endpoints.retrieve_async(made["id"])
    [customer] = await customers(shop, 1)
    await until(lambda: len(shop.connect_box.came) == 1)
    signature, body = shop.connect_box.came[0]
    event = shop.client.construct_event(body, signature, made["secret"])
    assert event["data"]["object"]["id"] == customer
    await shop.v1.customers.update_async(customer, {"name": "Grace"})
    await until(lambda: "customer.updated" in shop.platform_box.types())
    assert shop.platform_box.events()[-1]["data"]["previous_attributes"] == {"name": "Ada 0"}

    await shop.v1.webhook_endpoints.update_async(made["id"], {"disabled": True, "description": "x"})
    assert len((await shop.v1.webhook_endpoints.list_async())["data"]) == 3
    await shop.v1.webhook_endpoints.delete_async(made["id"])
    with pytest.raises(stripe.InvalidRequestError):
        await shop.v1.webhook_endpoints.retrieve_async(made["id"])
    await customers(shop, 1)
    await until(lambda: len(shop.platform_box.came) == 3)
    assert len(shop.connect_box.came) == 1


async def test_the_control_api_names_secrets_for_a_rotation(shop: Platform) -> None:
    url = shop.platform_box.url
    await shop.control("webhooks/endpoints", url=url, secret="whsec_" + "n" * 24, replace=True)
    await customers(shop, 1)
    await until(lambda: bool(shop.platform_box.came))
    signature, body = shop.platform_box.came[0]
    shop.client.construct_event(body, signature, "whsec_" + "n" * 24)


async def test_what_was_not_taken_is_sent_after_a_restart(tmp_path: Path) -> None:
    async with inbox() as box:
        box.status = 500
        options = Options(data=tmp_path, key=KEY, hooks=(Hook(box.url, PLATFORM_SECRET),))
        headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": "ada"}
        async with serving(options) as world, httpx.AsyncClient(verify=authorities()) as http:
            await http.post(f"{world.base_url}/v1/customers", headers=headers)
            await until(lambda: len(box.came) == 1)
        box.status = 200
        async with serving(options) as world:
            await until(lambda: len(box.came) == 2)
            assert len({event["id"] for event in box.events()}) == 1
            assert len(world.store.select("webhook_endpoint", world.platform)) == 1


@pytest.mark.parametrize(
    "url", ["https://example.org/hook", "http://10.0.0.1/", "ftp://127.0.0.1/", "http://[::]/", ""]
)
def test_events_leave_this_machine_never(url: str) -> None:
    with pytest.raises(Refusal):
        local(url)
    for own in ("http://localhost:1/a", "http://[::1]:1/", "https://127.0.0.2/"):
        assert local(own) == own
