"""The web process: API, event streams and pages behind uvicorn."""

import asyncio
import socket

from core.addresses import bound_socket
from core.server import serving
from core.settings import Settings
from web.app import create_app
from web.processes import spare_the_collector


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Serves until `stop`; open streams are cut three seconds later."""
    app = create_app(settings)
    spare_the_collector()
    # Bound by us: uvicorn's own socket on :: takes no IPv4.
    bound = bound_socket(settings.web_host, settings.web_port, socket.SOCK_STREAM)
    async with serving(app, bound, grace_s=3) as running:
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
