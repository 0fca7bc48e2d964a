"""A speaker without a browser: an aiortc client that publishes Opus packets through WHIP.

It sends one packet each 20 ms from `connect` to `close`: what was given to `play`, else
silence. Packets go out as given, with their level (RFC 6464); a share of them can be lost
on the way, drawn from a seeded generator so that a run can be repeated.
"""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import aioice.ice
import httpx
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription
from aiortc.rtcrtpsender import RTCEncodedFrame

from core.authorities import authorities
from demo.opus_files import RATE, SILENCE, OpusPacket, read_ogg

CONNECT_SECONDS: Final = 10.0
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


class PublishFailed(Exception):  # noqa: N818 - what happened, as the caller reads it
    """WHIP refused, or no connection came about; the text says which."""


@contextlib.contextmanager
def _host_candidates(whip_url: str, *, relayed: bool) -> Iterator[None]:
    """To a worker on this machine only loopback is offered: aioice leaves it out otherwise.

    Who is `relayed` offers none.
    """
    given = aioice.ice.get_host_addresses
    host = urlsplit(whip_url).hostname
    own = [] if relayed else ["::1" if host == "::1" else "127.0.0.1"]
    if relayed or host in LOOPBACK:
        aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: own
    try:
        yield
    finally:
        aioice.ice.get_host_addresses = given


class Speaker:
    """`loss` is the share of RTP packets that never leave. Use from one event loop.

    `sent` counts packets that left, `dropped` those that the loss took, since it was made.
    """

    def __init__(self, *, loss: float = 0.0, seed: int = 0) -> None:
        self.sent = 0
        self.dropped = 0
        self.session_url = ""
        self.etag = ""
        self._loss = loss
        self._random = random.Random(seed)  # noqa: S311 - loss, not secrets
        self._queue: deque[OpusPacket] = deque()
        self._token = ""
        self._pc: RTCPeerConnection | None = None
        self._closing: list[asyncio.Task[None]] = []

    async def connect(
        self, whip_url: str, token: str, *, relays: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        """Publishes; returns once media can flow. A second call makes a new session.

        With `relays`, the ticket's `ice_servers`, through one of them and no other way.
        Raises PublishFailed.
        """
        servers = [RTCIceServer(**relay) for relay in relays]
        pc = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        sender = pc.addTransceiver("audio", direction="sendonly").sender
        try:
            with _host_candidates(whip_url, relayed=bool(servers)):
                await pc.setLocalDescription(await pc.createOffer())
            answer = await self._post(whip_url, token, pc.localDescription.sdp)
            self._take_over(sender)
            await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            await _connected(pc)
        except BaseException:
            await pc.close()
            raise
        if self._pc is not None:
            self.drop()
        self._pc = pc

    async def _post(self, whip_url: str, token: str, offer: str) -> str:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
        async with httpx.AsyncClient(timeout=CONNECT_SECONDS, verify=authorities()) as http:
            answer = await http.post(whip_url, content=offer, headers=headers)
        if answer.status_code != httpx.codes.CREATED:
            raise PublishFailed(f"WHIP answered {answer.status_code}: {answer.text}")
        self._token = token
        self.session_url = urljoin(whip_url, answer.headers["Location"])
        self.etag = answer.headers["ETag"]
        return answer.text

    def _take_over(self, sender: Any) -> None:
        """Own packets in place of aiortc's encoder, which would encode what is Opus already."""
        source = _Source(self)
        sender._next_encoded_frame = source.next
        transport = sender.transport
        send = transport._send_rtp

        async def send_some(data: bytes) -> None:
            is_rtcp = 192 <= data[1] <= 223
            if is_rtcp:
                await send(data)
            elif self._random.random() < self._loss:
                self.dropped += 1
            else:
                await send(data)
                self.sent += 1

        transport._send_rtp = send_some
        # aiortc asks its encoder only while a track is there; ours needs none.
        sender.replaceTrack(_NoTrack())

    def play(self, what: Path | Iterable[OpusPacket]) -> float:
        """Says this after what is being said; returns its length in seconds."""
        packets = read_ogg(what) if isinstance(what, Path) else tuple(what)
        self._queue.extend(packets)
        return sum(p.samples for p in packets) / RATE

    @property
    def talking(self) -> bool:
        return bool(self._queue)

    def next_packet(self) -> OpusPacket:
        return self._queue.popleft() if self._queue else SILENCE

    def drop(self) -> None:
        """The connection is gone, as when a network fails: the worker is not told."""
        pc, self._pc = self._pc, None
        if pc is None:
            return
        for sender in pc.getSenders():
            protocols: list[Any] = sender.transport.transport._connection._protocols
            for protocol in protocols:
                protocol.send_stun = _into_nothing
                protocol.send_data = _async_into_nothing
        self._closing.append(asyncio.create_task(pc.close()))

    async def close(self) -> None:
        """Ends the session (DELETE) and the connection."""
        pc, self._pc = self._pc, None
        if pc is not None:
            headers = {"Authorization": f"Bearer {self._token}"}
            with contextlib.suppress(httpx.HTTPError):
                async with httpx.AsyncClient(timeout=CONNECT_SECONDS, verify=authorities()) as http:
                    await http.delete(self.session_url, headers=headers)
            await pc.close()
        await asyncio.gather(*self._closing)
        self._closing.clear()

    async def __aenter__(self) -> "Speaker":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class _Source:
    """Stands in for aiortc's encoder of one connection: a packet when its time has come."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker
        self._samples = 0
        self._began: float | None = None

    async def next(self, _codec: object) -> RTCEncodedFrame:
        loop = asyncio.get_running_loop()
        if self._began is None:
            self._began = loop.time()
        wait = self._began + self._samples / RATE - loop.time()
        if wait > 0:
            await asyncio.sleep(wait)
        packet = self._speaker.next_packet()
        timestamp = self._samples
        self._samples += packet.samples
        # aiortc counts levels below zero; the wire has their size.
        return RTCEncodedFrame([packet.payload], timestamp, -packet.level)


class _NoTrack:
    kind = "audio"
    id = "speaker"

    def stop(self) -> None:
        """Nothing to stop."""


def _into_nothing(*_: object) -> None:
    return None


async def _async_into_nothing(*_: object) -> None:
    return None


async def _connected(pc: RTCPeerConnection) -> None:
    """Raises PublishFailed when that does not come about in time."""
    changed = asyncio.Event()
    pc.on("connectionstatechange", lambda: changed.set())
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            while pc.connectionState != "connected":
                if pc.connectionState in ("failed", "closed"):
                    raise PublishFailed(f"the connection is {pc.connectionState}")
                changed.clear()
                await changed.wait()
    except TimeoutError:
        raise PublishFailed("no connection in time") from None
