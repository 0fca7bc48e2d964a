"""The web process: API, event streams and pages behind uvicorn."""

import asyncio
import contextlib
import socket

import uvicorn

from core.addresses import bound_socket
from core.server import BoundedHttp
from core.settings import Settings
from web.app import create_app
from web.processes import spare_the_collector


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Serves until `stop`; open streams are cut three seconds later."""
    app = create_app(settings)
    spare_the_collector()
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=3,
        server_header=False,
        http=BoundedHttp,
        ws="none",
    )
    server = uvicorn.Server(config)
    # The stop event is ours: uvicorn must not take the signals.
    with contextlib.suppress(AttributeError):
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    # Bound by us: uvicorn's own socket on :: takes no IPv4.
    bound = bound_socket(settings.web_host, settings.web_port, socket.SOCK_STREAM)
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    stopping.cancel()
    await serving
