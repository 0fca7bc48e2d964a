"""Opens the shop: the sandbox and Encore's web process, told of each other."""

import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

import core.server
from core.authorities import authorities
from core.db import Database
from core.mail import open_mailer
from core.money_settings import SHIPPED_PACKS, StarPack
from core.settings import Settings
from core.storage import open_store
from core.webhooks.sender import Sender
from payouts.cashier import Cashier
from payouts.gateway import Gateway
from payouts.sandbox.process import Options, serving
from tests.payouts.shop import CONNECT_SECRET, KEY, MINIMUM, NEXT_SECRET, PLATFORM_SECRET, Shop
from tests.transcripts.fakes import scripted_engine
from web.app import create_app
from workers.kinds import Tools

STOCK = StarPack(key="stock", currency="USD", price_minor=9_999_900, stars=7_000_000, bonus=0)


@contextlib.asynccontextmanager
async def open_shop(database: Database, folder: Path) -> AsyncIterator[Shop]:
    (folder / "sandbox").mkdir()
    async with serving(Options(data=folder / "sandbox", key=KEY)) as world:
        settings = _settings(database, folder, world.base_url)
        app = create_app(settings)
        app.state.cashier = _patient(app.state.cashier)
        async with (
            _listening(app) as url,
            _client(f"{url}/v1") as http,
            _client(world.base_url) as browser,
        ):
            shop = Shop(world, app.state.cashier, _tools(app.state.cashier), http, browser)
            for secret, connect in ((PLATFORM_SECRET, False), (CONNECT_SECRET, True)):
                hook = f"{url}/v1/stripe/webhooks"
                await shop.control("webhooks/endpoints", url=hook, secret=secret, connect=connect)
            await _stock(shop)
            yield shop


def _client(base_url: str) -> httpx.AsyncClient:
    """Leaves a connection before the server does, which may close it just as it is used again."""
    limits = httpx.Limits(keepalive_expiry=1)
    return httpx.AsyncClient(base_url=base_url, timeout=20, limits=limits, verify=authorities())


async def _stock(shop: Shop) -> None:
    """Transfers of all tests come out of one balance, and disputes take more than was paid."""
    await shop.bought(await shop.person(), STOCK.key)
    await shop.control("clock", advance_seconds=3 * 86_400)  # what was paid is available


def _settings(database: Database, folder: Path, base_url: str) -> Settings:
    return Settings(
        _env_file=None,
        data_dir=folder,
        database_url=SecretStr(database.url),
        stripe_key=SecretStr(KEY),
        stripe_base=base_url,
        stripe_webhook_secrets=SecretStr(f"{PLATFORM_SECRET},{CONNECT_SECRET},{NEXT_SECRET}"),
        stripe_requests_per_second=1000,
        star_packs=(*SHIPPED_PACKS, STOCK),
        sweep_minimum_minor=MINIMUM,
    )


def _patient(cashier: Cashier) -> Cashier:
    """One that does not wait as long as Stripe would like."""
    base = cashier.settings.stripe_base
    gateway = Gateway(KEY, base=base, per_second=1000, first_busy_wait_s=0.01)
    return replace(cashier, gateway=gateway)


def _tools(cashier: Cashier) -> Tools:
    settings = cashier.settings
    return Tools(
        settings=settings,
        database=cashier.database,
        secret=b"a secret of this test installation, long enough",
        store=open_store(settings),
        mailer=open_mailer(settings),
        sender=Sender(allow_private=True),
        engine=scripted_engine(),
        cashier=cashier,
    )


@contextlib.asynccontextmanager
async def _listening(app: Any) -> AsyncIterator[str]:
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    async with core.server.serving(app, bound):
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
