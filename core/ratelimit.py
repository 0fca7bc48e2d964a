"""Limits of HTTP endpoints: whose attempts are counted, by address or by credential."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from fastapi import Request

from core.auth.dependencies import presented
from core.buckets import Buckets, Limit, bucket_key
from core.http import Services, ServicesDep
from core.settings import Settings

_buckets = Buckets()


async def take(services: Services, limit: Limit, subject: str) -> None:
    """One token of the bucket of `subject` (an address, an account, a credential).

    Raises RateLimited.
    """
    await _buckets.take(services.database, limit, bucket_key(services.secret, limit, subject))


def rate_limit(
    limit: Limit, *, per_credential: bool = False
) -> Callable[[Request, Services], Awaitable[None]]:
    """A route's `dependencies=[Depends(rate_limit(LIMIT))]`: per client address.

    `per_credential` counts per Authorization header or session cookie instead, and a tenfold
    limit per address keeps invented credentials from making buckets without end.
    """

    async def check(request: Request, services: ServicesDep) -> None:
        address = client_address(request, services.settings)
        credential = presented(request) if per_credential else None
        if credential is None:
            await take(services, limit, address)
            return
        wide = replace(limit, name=f"{limit.name}:address", burst=limit.burst * 10)
        await take(services, wide, address)
        await take(services, limit, credential.secret)

    return check


def client_address(request: Request, settings: Settings) -> str:
    """The address that attempts are counted for: an IPv4 address or an IPv6 /64.

    X-Forwarded-For counts only as far as `settings.trusted_proxies` wrote it: read from the
    right, the first address that is no trusted proxy is the client.
    """
    address = _parsed(request.client.host if request.client else "")
    if address is None:
        return "unknown"
    named = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    while named and _trusted(address, settings):
        before = _parsed(named.pop().strip())
        if before is None:
            break
        address = before
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def _trusted(address: IPv4Address | IPv6Address, settings: Settings) -> bool:
    return any(address in network for network in settings.trusted_proxies)
