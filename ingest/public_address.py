"""Where speakers reach this machine, as answers name it (ICE host candidates)."""

import asyncio
import socket

from core.addresses import is_wildcard, split_address
from core.errors import Unavailable
from core.settings import Settings

PublicAddress = tuple[str, int]


class NoPublicAddress(Unavailable):
    code = "no_public_address"
    title = "Set ENCORE_INGEST_PUBLIC_ADDRESS to the address that speakers reach"


async def public_addresses(settings: Settings) -> list[PublicAddress]:
    """What answers name, names resolved; port 0 stands for the UDP socket's own.

    Raises NoPublicAddress for a wildcard, and for a name that has no address.
    """
    found: dict[PublicAddress, None] = {}
    for text in settings.ingest_public_address or (settings.ingest_udp_host,):
        host, port = split_address(text, 0)
        found |= dict.fromkeys((address, port) for address in await _resolve(host))
    if any(is_wildcard(address) for address, _ in found):
        raise NoPublicAddress(
            f"ENCORE_INGEST_UDP_HOST is {settings.ingest_udp_host}: set "
            "ENCORE_INGEST_PUBLIC_ADDRESS to the address that speakers reach this machine at."
        )
    return list(found)


async def _resolve(host: str) -> list[str]:
    try:
        entries = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except OSError:
        raise NoPublicAddress(f"{host} has no address; see ENCORE_INGEST_PUBLIC_ADDRESS.") from None
    return [str(entry[4][0]) for entry in entries]
