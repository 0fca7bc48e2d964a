"""One POST to an address that a platform chose: never into our own network, never for long."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import httpx

from core.errors import Invalid

CONNECT_SECONDS = 5.0
ATTEMPT_SECONDS = 15.0
USER_AGENT = "Encore-Webhooks/1"
MAX_URL_LENGTH = 2000

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class WebhookUrlInvalid(Invalid):
    code = "webhook_url_invalid"
    title = "Webhooks cannot be sent to this URL"


class AttemptError(Exception):
    """No status came back. `reason` is a word for the platform's eyes, without details."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def checked_url(url: str, *, https_only: bool, allow_private: bool) -> str:
    """The URL itself. Host names are looked up with each attempt, since they may change.

    Raises WebhookUrlInvalid.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise WebhookUrlInvalid("this is not a URL") from None
    if parsed.scheme not in {"https", "http"} or not parsed.raw_host or len(url) > MAX_URL_LENGTH:
        raise WebhookUrlInvalid("the URL must be https://host/path")
    if https_only and parsed.scheme != "https":
        raise WebhookUrlInvalid("the URL must begin with https://")
    if parsed.port is not None and not 0 < parsed.port < 65536:
        raise WebhookUrlInvalid("the port must be between 1 and 65535")
    if parsed.userinfo or parsed.fragment:
        raise WebhookUrlInvalid("the URL must not hold a user, a password or a fragment")
    literal = _literal(parsed.host)
    if literal is not None and not allow_private and not is_public(literal):
        raise WebhookUrlInvalid(
            "the address is not on the public internet; for a test, or all on one machine, "
            "start Encore with ENCORE_ALLOW_PRIVATE_WEBHOOKS=true"
        )
    return url


def is_public(address: IpAddress) -> bool:
    """False for everything that could lead into a private network, also inside IPv6 wrappings."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return is_public(inner)
        if address in _NAT64 or address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast


def _literal(host: str) -> IpAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


async def resolve(host: str, port: int) -> Sequence[str]:
    """Addresses by the system's resolver, in its order of preference."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class Sender:
    """Follows no redirect, uses no proxy, reads no body.

    It connects to the very address that was judged: a name that resolves differently the
    second time (DNS rebinding) gains nothing.
    """

    allow_private: bool
    resolve: Resolve = resolve
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    patience_s: float = ATTEMPT_SECONDS

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """The status of the answer. Raises AttemptError."""
        try:
            async with asyncio.timeout(self.patience_s):
                return await self._post(httpx.URL(url), headers, body)
        except (TimeoutError, httpx.TimeoutException):
            raise AttemptError("timeout") from None
        except socket.gaierror:
            raise AttemptError("unknown_host") from None
        except httpx.ConnectError as error:
            tls = isinstance(error.__cause__, ssl.SSLError) or "SSL" in str(error)
            raise AttemptError("tls_failed" if tls else "connection_refused") from None
        except (httpx.HTTPError, OSError, UnicodeError):
            raise AttemptError("connection_failed") from None

    async def _post(self, url: httpx.URL, headers: Mapping[str, str], body: bytes) -> int:
        host = url.raw_host.decode("ascii")
        port = url.port or (443 if url.scheme == "https" else 80)
        addresses = await self.resolve(host, port)
        if not addresses:
            raise AttemptError("unknown_host")
        if not self.allow_private and not all(map(_is_public_text, addresses)):
            raise AttemptError("private_address")
        request = httpx.Request(
            "POST",
            url.copy_with(host=addresses[0]),
            headers={
                **headers,
                "host": url.netloc.decode("ascii"),
                "user-agent": USER_AGENT,
                "content-type": "application/json",
            },
            content=body,
            extensions={
                "sni_hostname": host,
                "timeout": httpx.Timeout(ATTEMPT_SECONDS, connect=CONNECT_SECONDS).as_dict(),
            },
        )
        return await self._status(request)

    async def _status(self, request: httpx.Request) -> int:
        async with httpx.AsyncHTTPTransport(verify=self.tls, trust_env=False) as transport:
            response = await transport.handle_async_request(request)
            await response.aclose()
        return response.status_code


def _is_public_text(address: str) -> bool:
    return is_public(ipaddress.ip_address(address.partition("%")[0]))
