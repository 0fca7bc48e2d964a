"""A speaker as OBS is one (obs-webrtc): its offer, its two channels, its sender reports, no levels.

What OBS's encoder and libdatachannel do beyond that is not here: DTLS and SRTP are the test
client's, and of the video, which the answer refuses, nothing is sent.
"""

import asyncio
import socket
import struct
from collections.abc import Sequence
from urllib.parse import urljoin

import av
import httpx
import numpy as np
from aiortc.sdp import SessionDescription
from av.audio.codeccontext import AudioCodecContext

from core.authorities import authorities
from tests.e2e.live_room import until
from tests.ingest.client import Client, check
from tests.ingest.offers import FINGERPRINT, OBS

RATE = 48_000
FRAME = 960
SSRC = 41
UFRAG = "Obsu"
_SR = struct.Struct("!BBHIQIII")


def stereo_tone(left_hz: float, right_hz: float, seconds: float) -> list[bytes]:
    """Opus packets of 20 ms in two channels, one tone in each."""
    at = np.arange(round(seconds * RATE)) / RATE
    waves = [np.sin(2 * np.pi * hz * at) * 0.3 * 32767 for hz in (left_hz, right_hz)]
    pcm = np.stack(waves, axis=1).astype(np.int16)
    codec = av.CodecContext.create("libopus", "w")
    assert isinstance(codec, AudioCodecContext)
    codec.sample_rate, codec.format, codec.layout = RATE, "s16", "stereo"
    codec.bit_rate = 160_000
    packets: list[bytes] = []
    for begin in range(0, len(pcm) - FRAME + 1, FRAME):
        part = pcm[begin : begin + FRAME].reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(part, "s16", "stereo")
        frame.sample_rate, frame.pts = RATE, begin
        packets += map(bytes, codec.encode(frame))
    return packets


class ObsSpeaker:
    """One session; use from one event loop."""

    def __init__(self) -> None:
        self.answer = ""
        self._client = Client()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._resource = ""
        self._headers: dict[str, str] = {}

    async def connect(self, whip_url: str, token: str) -> None:
        """One POST, one check, then DTLS as its client."""
        self._headers = {"Authorization": f"Bearer {token}", "User-Agent": "Mozilla/5.0 (OBS)"}
        offer = OBS.replace(FINGERPRINT, self._client.fingerprints["sha-256"].upper())
        kind = {"Content-Type": "application/sdp"}
        async with httpx.AsyncClient(timeout=8, verify=authorities()) as http:
            answer = await http.post(whip_url, content=offer, headers=self._headers | kind)
        assert answer.status_code == 201, answer.text
        self.answer = answer.text
        self._resource = urljoin(whip_url, answer.headers["Location"])
        audio = SessionDescription.parse(answer.text).media[0]
        assert audio.ice is not None
        assert audio.dtls is not None
        assert audio.dtls.role == "server"
        self._socket.connect((audio.ice_candidates[0].ip, audio.ice_candidates[0].port))
        ufrag, password = audio.ice.usernameFragment, audio.ice.password
        assert ufrag is not None
        assert password is not None
        self._send(check(ufrag, password, remote_ufrag=UFRAG))
        await until(self._knocked)
        self._send(*self._client.step([]))
        await until(self._shaken)

    async def _knocked(self) -> bool:
        return bool(self._received())

    async def _shaken(self) -> bool:
        records = [d for d in self._received() if 20 <= d[0] <= 63]
        self._send(*self._client.step(records), *self._client.timeout())
        return self._client.established

    async def say(self, packets: Sequence[bytes]) -> None:
        """A packet each 20 ms; a sender report each second, and one with the first."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number, payload in enumerate(packets):
            await asyncio.sleep(max(0.0, began + number * FRAME / RATE - loop.time()))
            if number % 50 == 0:
                self._send(self._client.rtcp(_sender_report(number)))
            self._send(self._client.rtp(number, ssrc=SSRC, payload=payload, level=None))

    async def leave(self) -> None:
        """The connection is closed first, which may have ended the session when DELETE comes."""
        self._send(*self._client.leave())
        self._socket.close()
        async with httpx.AsyncClient(timeout=8, verify=authorities()) as http:
            done = await http.delete(self._resource, headers=self._headers)
        assert done.status_code in (200, 404)

    def _send(self, *datagrams: bytes) -> None:
        for datagram in datagrams:
            self._socket.send(datagram)

    def _received(self) -> list[bytes]:
        found: list[bytes] = []
        while True:
            try:
                found.append(self._socket.recv(2048))
            except BlockingIOError:
                return found


def _sender_report(number: int) -> bytes:
    """RFC 3550, 6.4.1, without reports on others and with a clock that is wrong."""
    return _SR.pack(0x80, 200, 6, SSRC, 0, number * FRAME, number, number * 300)
