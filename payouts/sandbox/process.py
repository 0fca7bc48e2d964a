"""The sandbox as a process: on loopback alone, over one folder."""

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import core.server
from core.addresses import bound_socket, http_url, is_loopback
from core.durable import create_once
from core.errors import Problem
from core.settings import Settings
from payouts.sandbox.app import create_app
from payouts.sandbox.hazards import Hazards, recording_in
from payouts.sandbox.resources.balance import US_DOLLARS
from payouts.sandbox.resources.webhook_endpoints import local, register
from payouts.sandbox.store import Store
from payouts.sandbox.world import World

FILE = "stripe-sandbox.sqlite"
KEY_PREFIX = "sk_test_"
WEBHOOK_PATH = "/v1/stripe/webhooks"
"""Of Encore's web process: it takes the platform's events and those of connected accounts."""


class NotLoopback(Problem):
    status = 422
    code = "not_loopback"
    title = "The sandbox listens on this machine alone"


class LiveKey(Problem):
    status = 422
    code = "live_key"
    title = "The sandbox takes test keys alone"


class UnknownCurrency(Problem):
    status = 422
    code = "sandbox_currency"
    title = "The sandbox has no rate for the settlement currency"


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook endpoint that is there from the start, and the secret that signs its events."""

    url: str
    secret: str
    connect: bool = False


@dataclass(frozen=True, slots=True)
class Options:
    data: Path
    key: str
    host: str = "127.0.0.1"
    port: int = 0
    """0: any free one."""
    currency: str = "usd"
    country: str = "US"
    hooks: tuple[Hook, ...] = ()
    hazards: Hazards = field(default_factory=Hazards)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """The process `stripe` of `encore up`: the supervisor has put key and secrets into settings."""
    url = f"{http_url('127.0.0.1', settings.web_port)}{WEBHOOK_PATH}"
    of_platform, of_connect = settings.webhook_secrets
    hooks = (Hook(url, of_platform), Hook(url, of_connect, connect=True))
    assert settings.stripe_key is not None  # noqa: S101 - the supervisor made one
    options = Options(
        data=settings.data_dir,
        key=settings.stripe_key.get_secret_value(),
        port=settings.sandbox_port,
        currency=settings.settlement_currency.lower(),
        hooks=hooks,
        hazards=Hazards(recording=recording_in(settings.sandbox_record)),
    )
    async with serving(options):
        await stop.wait()


@contextlib.asynccontextmanager
async def serving(options: Options) -> AsyncIterator[World]:
    """The sandbox, listening at `base_url`. Raises NotLoopback, LiveKey,
    UnknownCurrency, OSError."""
    if not options.key.startswith(KEY_PREFIX):
        raise LiveKey(f"a key of the sandbox begins with {KEY_PREFIX}")
    if options.currency not in US_DOLLARS:
        raise UnknownCurrency(f"{options.currency} is none of {', '.join(US_DOLLARS)}")
    bound = _loopback_socket(options.host, options.port)
    store = Store(options.data / FILE)
    url = http_url(options.host, bound.getsockname()[1])
    world = World(store, options.key, url, options.currency, options.country)
    with store.transaction():
        _hook_up(world, options.hooks)
    try:
        async with core.server.serving(create_app(world, options.hazards), bound):
            yield world
    finally:
        store.close()


def key_in(folder: Path) -> str:
    """The folder's own key, made at the first start (mode 0600)."""
    path = folder / "stripe_key"
    if not path.exists():
        create_once(path, f"{KEY_PREFIX}{secrets.token_hex(24)}".encode())
    return path.read_text().strip()


def _loopback_socket(host: str, port: int) -> socket.socket:
    if not is_loopback(host):
        raise NotLoopback(f"{host} is no loopback address: use 127.0.0.1 or ::1")
    return bound_socket(host, port, socket.SOCK_STREAM)


def _hook_up(world: World, hooks: tuple[Hook, ...]) -> None:
    """Registers the endpoints it is started with. They keep their ids from one start to the next,
    so that events still to be delivered find them."""
    call = world.call()
    known = call.store.select("webhook_endpoint", call.account, where={"_started_with": 1})
    for hook in hooks:
        same = next((each for each in known if each["_connect"] == hook.connect), None)
        if same is None:
            same = register(call, hook.url, hook.secret, connect=hook.connect)
        else:
            known.remove(same)
        call.save(same, url=local(hook.url), _secret=hook.secret, _started_with=1)
    for left in known:
        call.store.delete(left["id"])
