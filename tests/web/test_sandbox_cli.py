"""`encore sandbox` against the process that `encore up` runs, and who gets to run it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from core.authorities import authorities
from core.settings import Environment, Settings
from payouts.sandbox.process import LiveKey, NotLoopback, Options, run, serving
from tests.e2e.stack import free_port_settings
from tests.polling import eventually
from web.sandbox import wants_sandbox, with_sandbox
from web.sandbox_cli import SandboxAway, sandbox


@pytest.fixture
async def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Of the process `stripe`, over settings as the command line finds them."""
    for name, value in free_port_settings().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ENCORE_DATA_DIR", str(tmp_path))
    settings = with_sandbox(Settings())
    stop = asyncio.Event()
    running = asyncio.create_task(run(settings, stop))
    base = settings.stripe_base or ""

    async def answers() -> bool:
        with contextlib.suppress(httpx.TransportError):
            async with httpx.AsyncClient(verify=authorities()) as http:
                return (await http.get(f"{base}/_pages/sandbox.css")).is_success
        return False

    await eventually(answers)
    yield base
    stop.set()
    await running


async def encore(*arguments: str) -> str:
    """What `encore sandbox` prints, in a thread beside the server."""
    done = await asyncio.to_thread(CliRunner().invoke, sandbox, list(arguments))
    if done.exception is not None:
        raise done.exception
    return done.stdout


def told(said: str) -> datetime:
    return datetime.strptime(said.strip(), "It is %Y-%m-%d %H:%M:%S UTC there now.").replace(
        tzinfo=UTC
    )


async def keyed(request: httpx.Request) -> None:
    """What is asked of Stripe's API to be made is made once."""
    if request.method == "POST":
        request.headers["Idempotency-Key"] = uuid4().hex


async def test_everything_can_be_ordered_from_the_command_line(url: str) -> None:
    settings = with_sandbox(Settings())
    assert settings.stripe_key is not None
    key = {"Authorization": f"Bearer {settings.stripe_key.get_secret_value()}"}
    assert '"faults": []' in await encore("status")
    before, after = [told(await encore("clock", span)) for span in ("14d", "90s")]
    assert after >= before + timedelta(seconds=90)
    hooks = {"request": [keyed]}
    async with httpx.AsyncClient(
        base_url=url, headers=key, event_hooks=hooks, verify=authorities()
    ) as stripe:
        endpoints = (await stripe.get("/v1/webhook_endpoints")).json()["data"]
        assert {each["url"] for each in endpoints} == {
            f"http://127.0.0.1:{settings.web_port}/v1/stripe/webhooks"
        }
        params = {
            "amount": 700,
            "currency": "usd",
            "confirm": "true",
            "payment_method": "pm_card_visa",
        }
        paid = (await stripe.post("/v1/payment_intents", data=params)).json()
        listed = (await encore("list", "charges")).split("  ")
        assert (listed[0], listed[2:]) == (paid["latest_charge"], ["7.00 USD", "succeeded\n"])
        opened = await encore("dispute", paid["latest_charge"], "--amount", "100")
        assert opened.endswith("needs_response\n")
        assert "won" in await encore("dispute", opened.split()[0], "--won")
        other = (await stripe.post("/v1/payment_intents", data=params)).json()
        refund = await stripe.post("/v1/refunds", data={"charge": other["latest_charge"]})
        assert "failed" in await encore("fail", refund.json()["id"])
        made = (await stripe.post("/v1/accounts", data={"country": "US"})).json()["id"]
        assert "payouts on" in await encore("account", "enable", made)
        assert "payouts on" in await encore("list", "accounts", "--limit", "1")
        assert "payouts off" in await encore("account", "restrict", made)
        [event, *_] = (await stripe.get("/v1/events")).json()["data"]
        assert (await encore("resend", event["id"])).strip() == event["id"]
        assert (await encore("resend", event["id"], "--as-new")).startswith("evt_")

        await encore("requests", "error", "--error", "429", "--path", "/v1/customers")
        assert (await stripe.post("/v1/customers")).status_code == 429
        await encore("webhooks", "hold", "--type", "customer.*")
        assert (await stripe.post("/v1/customers")).status_code == 200
        assert "1 released" in await encore("webhooks", "release", "--newest-first")
        await encore("webhooks", "drop", "--count", "9")
        assert "0 webhooks" in await encore("clear")


async def test_refusals_are_problems(url: str) -> None:
    for arguments in (("fail", "re_none"), ("dispute", "ch_none"), ("resend", "evt_none")):
        with pytest.raises(Exception, match="No such"):
            await encore(*arguments)
    assert CliRunner().invoke(sandbox, ["clock", "soon"]).exit_code == 2


def test_real_keys_and_production_have_no_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert wants_sandbox(Settings())
    assert not wants_sandbox(Settings(sandbox=False))
    assert not wants_sandbox(Settings(environment=Environment.PRODUCTION))
    assert not wants_sandbox(Settings(stripe_key=SecretStr("sk_test_of_stripe")))
    first, second = (with_sandbox(Settings(data_dir=tmp_path / name)) for name in "ab")
    assert first.stripe_key != second.stripe_key
    assert first.stripe_key == with_sandbox(Settings(data_dir=tmp_path / "a")).stripe_key
    assert len(set(first.webhook_secrets)) == 2
    monkeypatch.setenv("ENCORE_STRIPE_KEY", "sk_test_of_stripe")
    with pytest.raises(SandboxAway):
        CliRunner().invoke(sandbox, ["status"], catch_exceptions=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "localhost", ""])  # noqa: S104
async def test_it_listens_on_loopback_alone(tmp_path: Path, host: str) -> None:
    with pytest.raises(NotLoopback):
        async with serving(Options(data=tmp_path, key="sk_test_x", host=host)):
            pass


async def test_live_keys_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LiveKey):
        async with serving(Options(data=tmp_path, key="sk_live_x")):
            pass
