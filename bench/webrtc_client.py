"""One WebRTC client over a UDP socket of its own: full ICE, DTLS of either role, SRTP. No threads.

It publishes one Opus stream with audio levels, to a server that gives its candidates in the
answer, and answers that server's checks. What comes back is counted, not decoded.
"""

import asyncio
import contextlib
import re
import secrets
import socket
import struct
from dataclasses import dataclass
from typing import Final

import pylibsrtp
from aioice import stun
from aiortc.clock import current_ntp_time
from aiortc.rtcdtlstransport import SRTP_PROFILES, RTCCertificate
from OpenSSL import SSL

from demo.opus_files import OpusPacket
from ingest.webrtc import split_records

PAYLOAD_TYPE: Final = 111
LEVEL_ID: Final = 1
CONNECT_SECONDS: Final = 20.0
RETRY_SECONDS: Final = 0.1
MAX_DATAGRAM: Final = 2048
DTLS_MTU: Final = 1200

_LABEL: Final = b"EXTRACTOR-dtls_srtp"
_RTP: Final = struct.Struct("!BBHIIHHBBxx")
_SENDER_REPORT: Final = struct.Struct("!BBHIQIII")
_LEVEL_URI: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"


class ConnectFailed(Exception):  # noqa: N818 - what happened, as the caller reads it
    """The server refused, or no connection came about in time."""


@dataclass(frozen=True, slots=True)
class Remote:
    """What an answer says of the server: where it is, how to prove oneself, who begins DTLS."""

    address: tuple[str, int]
    ufrag: str
    password: str
    calls: bool
    """The server is the DTLS client (`a=setup:active`)."""

    @classmethod
    def read(cls, answer: str) -> "Remote":
        """Raises ConnectFailed for an answer without a UDP candidate on IPv4."""
        candidates = re.findall(r"a=candidate:\S+ 1 [uU][dD][pP] \d+ ([\d.]+) (\d+) typ", answer)
        ufrag = re.search(r"a=ice-ufrag:(\S+)", answer)
        password = re.search(r"a=ice-pwd:(\S+)", answer)
        if not candidates or ufrag is None or password is None:
            raise ConnectFailed(f"the answer names no way to connect: {answer!r}")
        host, port = candidates[0]
        return cls((host, int(port)), ufrag[1], password[1], "a=setup:active" in answer)


class Identity:
    """The certificate that all clients of a bench share, so that none has to make one."""

    def __init__(self) -> None:
        certificate = RTCCertificate.generateCertificate()
        self.context: SSL.Context = certificate._create_ssl_context(SRTP_PROFILES)
        self.fingerprint: str = next(
            f.value for f in certificate.getFingerprints() if f.algorithm == "sha-256"
        )


class WebRtcClient:
    """`offer`, then `connect` with the answer, then `send` packets and now and then `sweep`."""

    def __init__(
        self, identity: Identity, *, host: str = "127.0.0.1", direction: str = "sendonly"
    ) -> None:
        self.ssrc = secrets.randbits(32)
        self.sent = 0
        self.received = 0
        """Datagrams of media and RTCP that came back."""

        self.profile = ""
        self.established = False
        self._identity = identity
        self._direction = direction
        self._ufrag = secrets.token_hex(4)
        self._password = secrets.token_hex(16)
        self._remote: Remote | None = None
        self._nominated = False
        self._ssl = SSL.Connection(identity.context)
        self._ssl.set_ciphertext_mtu(DTLS_MTU)
        self._srtp: pylibsrtp.Session | None = None
        self._seq = secrets.randbits(15)
        self._timestamp = secrets.randbits(31)
        self._octets = 0
        self._changed = asyncio.Event()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((host, 0))

    def offer(self) -> str:
        """One audio line, all candidates in it."""
        host, port = self._socket.getsockname()
        return "\r\n".join(
            (
                "v=0",
                f"o=- {self.ssrc} 1 IN IP4 {host}",
                "s=-",
                "t=0 0",
                "a=group:BUNDLE 0",
                "a=msid-semantic: WMS *",
                f"m=audio {port} UDP/TLS/RTP/SAVPF {PAYLOAD_TYPE}",
                f"c=IN IP4 {host}",
                "a=mid:0",
                f"a={self._direction}",
                "a=rtcp-mux",
                f"a=rtpmap:{PAYLOAD_TYPE} opus/48000/2",
                f"a=fmtp:{PAYLOAD_TYPE} minptime=10;useinbandfec=1",
                f"a=extmap:{LEVEL_ID} {_LEVEL_URI}",
                f"a=ice-ufrag:{self._ufrag}",
                f"a=ice-pwd:{self._password}",
                f"a=fingerprint:sha-256 {self._identity.fingerprint}",
                "a=setup:actpass",
                f"a=candidate:1 1 udp 2130706431 {host} {port} typ host",
                "a=end-of-candidates",
                f"a=ssrc:{self.ssrc} cname:{self._ufrag}",
                "",
            )
        )

    async def connect(self, answer: str) -> None:
        """Returns once media can flow. Raises ConnectFailed."""
        self._remote = Remote.read(answer)
        self._socket.connect(self._remote.address)
        if self._remote.calls:
            self._ssl.set_accept_state()
        else:
            self._ssl.set_connect_state()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket.fileno(), self._drain)
        deadline = loop.time() + CONNECT_SECONDS
        try:
            while not self.established:
                if loop.time() > deadline:
                    raise ConnectFailed("no connection in time")
                await self._try_again()
        finally:
            loop.remove_reader(self._socket.fileno())

    async def _try_again(self) -> None:
        if not self._nominated:
            self._check()
        elif self._ssl.DTLSv1_get_timeout() == 0:
            self._ssl.DTLSv1_handle_timeout()
            self._send_records()
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), RETRY_SECONDS)

    def send(self, packet: OpusPacket) -> None:
        """The next packet of the stream, with its level (RFC 6464)."""
        if self._srtp is None:
            raise ConnectFailed("not connected")
        self._advance(packet)
        level = packet.level | (0x80 if packet.level < 60 else 0)
        header = _RTP.pack(
            *(0x90, PAYLOAD_TYPE, self._seq, self._timestamp, self.ssrc),
            *(0xBEDE, 1, LEVEL_ID << 4, level),
        )
        self._socket.send(self._srtp.protect(header + packet.payload))
        self.sent += 1
        self._octets += len(packet.payload)

    def lose(self, packet: OpusPacket) -> None:
        """The next packet of the stream is never sent; those after it show that."""
        self._advance(packet)

    def _advance(self, packet: OpusPacket) -> None:
        self._seq = (self._seq + 1) & 0xFFFF
        self._timestamp = (self._timestamp + packet.samples) & 0xFFFFFFFF

    def sweep(self) -> None:
        """What a client does every few seconds: consent (RFC 7675) and a sender report."""
        self._check()
        if self._srtp is not None:
            report = _SENDER_REPORT.pack(
                *(0x80, 200, 6, self.ssrc, current_ntp_time()),
                *(self._timestamp, self.sent & 0xFFFFFFFF, self._octets & 0xFFFFFFFF),
            )
            self._send(self._srtp.protect_rtcp(report))

    def drain(self) -> None:
        """Takes what has come back; servers that send much fill the buffer otherwise."""
        self._drain()

    def close(self) -> None:
        if self.established:
            with contextlib.suppress(SSL.Error):
                self._ssl.shutdown()
            self._send_records()
        self._socket.close()

    # Receiving

    def _drain(self) -> None:
        while True:
            try:
                data = self._socket.recv(MAX_DATAGRAM)
            except BlockingIOError:
                return
            except OSError:
                continue  # the server's port is closed: its ICMP error comes here
            self._take(data)

    def _take(self, data: bytes) -> None:
        """By the first byte (RFC 7983, 7)."""
        if data[0] < 4:
            self._on_stun(data)
        elif 20 <= data[0] < 64:
            self._on_dtls(data)
        else:
            self.received += 1

    # ICE: the controlling side, nominating at once

    def _check(self) -> None:
        if self._remote is None:
            return
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        request.attributes["USERNAME"] = f"{self._remote.ufrag}:{self._ufrag}"
        request.attributes["PRIORITY"] = 1845501695
        request.attributes["ICE-CONTROLLING"] = 1
        request.attributes["USE-CANDIDATE"] = None
        request.add_message_integrity(self._remote.password.encode())
        request.add_fingerprint()
        self._send(bytes(request))

    def _on_stun(self, data: bytes) -> None:
        message = stun.parse_message(data)
        if message.message_class == stun.Class.REQUEST:
            self._answer_check(message)
        elif message.message_class == stun.Class.RESPONSE and not self._nominated:
            self._nominated = True
            self._handshake()
            self._changed.set()

    def _answer_check(self, request: stun.Message) -> None:
        response = stun.Message(
            stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=request.transaction_id
        )
        if self._remote is not None:
            response.attributes["XOR-MAPPED-ADDRESS"] = self._remote.address
        response.add_message_integrity(self._password.encode())
        response.add_fingerprint()
        self._send(bytes(response))

    # DTLS

    def _on_dtls(self, data: bytes) -> None:
        self._ssl.bio_write(data)
        if not self.established:
            self._handshake()
            return
        with contextlib.suppress(SSL.Error):
            self._ssl.recv(MAX_DATAGRAM)

    def _handshake(self) -> None:
        try:
            self._ssl.do_handshake()
        except SSL.WantReadError:
            self._send_records()
            return
        self._send_records()
        self._export()
        self.established = True
        self._changed.set()

    def _export(self) -> None:
        name = self._ssl.get_selected_srtp_profile()
        profile = next(p for p in SRTP_PROFILES if p.openssl_profile == name)
        size = 2 * (profile.key_length + profile.salt_length)
        material = self._ssl.export_keying_material(_LABEL, size)
        ours = 1 if self._remote is not None and self._remote.calls else 0
        policy = pylibsrtp.Policy(
            key=profile.get_key_and_salt(material, ours),
            ssrc_type=pylibsrtp.Policy.SSRC_ANY_OUTBOUND,
            srtp_profile=profile.libsrtp_profile,
        )
        self._srtp = pylibsrtp.Session(policy)
        self.profile = name.decode()

    def _send_records(self) -> None:
        data = b""
        with contextlib.suppress(SSL.Error):
            while True:
                data += self._ssl.bio_read(65536)
        for record in split_records(data):
            self._send(record)

    def _send(self, datagram: bytes) -> None:
        with contextlib.suppress(OSError):
            self._socket.send(datagram)
