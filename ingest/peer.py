"""One WHIP session: ICE-lite credentials, DTLS, SRTP and the statistics of each stream. Sans-I/O.

A peer never sends first. It learns its client's addresses from STUN checks that prove
knowledge of its password (RFC 8445, 7.3), speaks DTLS only with those, and is forgotten
30 s after the last one (RFC 7675).
"""

import hmac
import logging
import secrets
from collections.abc import Callable, Sequence
from typing import Final, Protocol
from uuid import UUID

from ingest import rtcp
from ingest.checks import Checks, Credentials, new_credentials
from ingest.journal import AGE_BYTES, AGE_US, NO_LEVEL, PACKET, Record
from ingest.reception import Reception
from ingest.rtp import (
    ONE_BYTE_PROFILE,
    USUAL_FIRST,
    USUAL_HEADER,
    USUAL_PAYLOAD,
    RtpError,
    parse,
)
from ingest.sdp import Fingerprint, Offer
from ingest.webrtc import (
    MAX_DATAGRAM,
    Address,
    BindingRequest,
    DtlsConnection,
    DtlsError,
    PacketBuffer,
    SrtpKeys,
    SrtpReceiver,
    SrtpSender,
)

log = logging.getLogger(__name__)

CONSENT_SECONDS: Final = 30.0
HANDSHAKE_SECONDS: Final = 30.0
"""From the answer to an established session; afterwards the client has to ask again."""
HOLD_SECONDS: Final = 15.0
"""After the last check from an address: clients check every 5 s at the latest (RFC 7675, 5.1)."""
MAX_ADDRESSES: Final = 8
MAX_STREAMS: Final = 16
BYTES_PER_SECOND: Final = 160_000
BURST_SECONDS: Final = 6.0
PACKET_OVERHEAD: Final = 100
"""What one person may send: Opus at its highest rate (510 kbit/s) in packets of 2.5 ms takes two
thirds of it. Otherwise whoever is brought on a stage could fill the disk as fast as his line is."""

LOUD_DB: Final = 45
"""Levels up to this many dB below overload count as speech."""
LOUD_BYTES: Final = 40
"""Without a level: Opus payloads of 20 ms at least this long count as speech."""

_AGE_SECONDS: Final = AGE_US / 1_000_000
_read = USUAL_HEADER.unpack_from
_pack = PACKET.pack_into


class PacketSink(Protocol):
    """Takes the packets of a peer whose `kept` is true, in arrival order, as journal records.

    A record lies in the buffer that it was read into, until that is read into again.
    """

    @property
    def keep(self) -> Callable[[Record], None]: ...

    def open_stream(self, peer: "Peer", ssrc: int, *, has_level: bool) -> int: ...


class Peer:
    """`kept` is set by the room: whether this participant's packets go to the journal now."""

    __slots__ = (
        "_allowance",
        "_allowed_at",
        "_begins_dtls",
        "_checks",
        "_dtls",
        "_fingerprints",
        "_level_element",
        "_receiver",
        "_resumed",
        "_sender",
        "address",
        "addresses",
        "closed",
        "consent_at",
        "created_at",
        "credentials",
        "etag",
        "kept",
        "keys",
        "level_id",
        "lost",
        "loud",
        "mid",
        "numbers",
        "participant_id",
        "payload_type",
        "restarting",
        "room_id",
        "session_id",
        "sink",
        "streams",
        "token_sha256",
    )

    def __init__(
        self,
        *,
        session_id: str,
        room_id: UUID,
        participant_id: UUID,
        offer: Offer,
        credentials: Credentials,
        token_sha256: bytes,
        now: float,
    ) -> None:
        self.session_id = session_id
        self.room_id = room_id
        self.participant_id = participant_id
        self.token_sha256 = token_sha256
        self.mid = offer.audio.mid
        self.payload_type = offer.payload_type
        self.level_id = offer.level_id
        self._level_element = offer.level_id << 4 if 0 < offer.level_id < 15 else -1
        """Of a one-byte extension element (RFC 8285, 4.2) that holds the level: its id's bits."""

        self.credentials = credentials
        self.restarting: Credentials | None = None
        """Given out by an ICE restart; in force once the client nominates a pair with them."""
        self.etag = secrets.token_hex(8)
        self.addresses: dict[Address, float] = {}
        """Where authentic checks came from, and when the last one did."""
        self.address: Address | None = None
        self.created_at = now
        self.consent_at = now
        self.keys: SrtpKeys | None = None
        self.streams: dict[int, Reception] = {}
        self.numbers: dict[int, int] = {}
        """SSRC to the journal's stream number, for streams of which a packet was kept."""
        self.sink: PacketSink | None = None
        self.kept = False
        self.loud = 0
        """Loud packets since somebody last asked and set it back to 0."""
        self.closed = False
        self.lost = False
        """Dropped because its client has fallen silent, not because anybody wished it."""

        self._fingerprints: tuple[Fingerprint, ...] = offer.fingerprints
        self._begins_dtls = offer.setup == "active"
        self._dtls: DtlsConnection | None = None
        self._receiver: SrtpReceiver | None = None
        self._sender: SrtpSender | None = None
        self._resumed: dict[int, int] = {}
        self._allowance = BYTES_PER_SECOND * BURST_SECONDS
        self._allowed_at = now
        self._checks = Checks()

    @property
    def established(self) -> bool:
        return self._receiver is not None

    @property
    def handshaking(self) -> bool:
        return self._dtls is not None and self._receiver is None

    # ICE

    def authenticate(self, request: BindingRequest, address: Address, now: float) -> bytes | None:
        """The response to a check, or None when it proves nothing."""
        known = [c for c in (self.credentials, self.restarting) if c and c.named_by(request)]
        used = known[0] if known else None
        binding = None if used is None else request.authenticate(used.password)
        if used is None or binding is None:
            return None
        if self._checks.seen(binding.transaction_id) and address not in self.addresses:
            return None
        if not self._checks.in_time(now):
            return None
        self.consent_at = now
        self._validate(address, now)
        if binding.nominated or self.address is None:
            self.address = address
            if used is self.restarting:
                self.credentials, self.restarting = used, None
        return binding.response(address)

    def _validate(self, address: Address, now: float) -> None:
        """The newest MAX_ADDRESSES stay, and the chosen one."""
        self.addresses.pop(address, None)
        self.addresses[address] = now
        if len(self.addresses) > MAX_ADDRESSES:
            oldest = next(a for a in self.addresses if a != self.address)
            del self.addresses[oldest]

    def restart(self, remote_ufrag: str) -> Credentials:
        """New credentials (RFC 8445, 9); the present pair stays until one with them is chosen."""
        self.restarting = new_credentials(remote_ufrag)
        self.etag = secrets.token_hex(8)
        return self.restarting

    def holds(self, address: Address, now: float) -> bool:
        """Whether the client of this session is at the address now, as far as its checks say."""
        at = self.addresses.get(address)
        return self.established and at is not None and now - at <= HOLD_SECONDS

    # DTLS

    def begin_dtls(self, connect: Callable[[], DtlsConnection]) -> list[bytes]:
        """The first flight of a client that waits for it; mostly nothing. After a check."""
        if not self._begins_dtls or self._dtls is not None or self.established:
            return []
        self._dtls = connect()
        return self._dtls.outgoing()

    def on_dtls(self, datagram: bytes, accept: Callable[[], DtlsConnection]) -> list[bytes]:
        """Answers of the handshake; `accept` begins it at the first datagram.

        Raises DtlsError, after which the peer is of no use.
        """
        if self._dtls is None:
            if self.established:
                return []  # resumed after a restart: that handshake's state is gone
            self._dtls = accept()
        self._dtls.receive(datagram)
        if self._dtls.established and self._receiver is None:
            self._check_certificate(self._dtls)
            self._use(self._dtls.export_keys())
        self.closed = self.closed or self._dtls.closed
        return self._dtls.outgoing()

    def handshake_timeout(self) -> list[bytes]:
        return self._dtls.handle_timeout() if self._dtls is not None and self.handshaking else []

    def _check_certificate(self, dtls: DtlsConnection) -> None:
        """One match is enough: an offer may name several hashes or certificates (RFC 8122, 5)."""
        for fingerprint in self._fingerprints:
            shown = dtls.peer_fingerprint(fingerprint.algorithm)
            if hmac.compare_digest(shown, fingerprint.value):
                return
        raise DtlsError("the certificate is not the one of the offer")

    def _use(self, keys: SrtpKeys) -> None:
        self.keys = keys
        self._receiver = SrtpReceiver(keys)
        self._sender = SrtpSender(keys)

    def resume(self, keys: SrtpKeys, address: Address, highest: dict[int, int]) -> None:
        """Takes up a session of this process's predecessor; `highest` is by SSRC, extended."""
        self._use(keys)
        if self._receiver is not None:
            for ssrc, seq in highest.items():
                self._receiver.resume(ssrc, seq)
        self._resumed = highest
        self.address = address
        self.addresses[address] = self.created_at

    def positions(self) -> dict[int, int]:
        """The highest extended sequence number of each SSRC: what `resume` takes."""
        return self._resumed | {ssrc: s.highest for ssrc, s in self.streams.items()}

    def close(self) -> list[bytes]:
        """The farewell, where DTLS can still say one."""
        self.closed = True
        return self._dtls.close() if self._dtls is not None else []

    # RTP

    def on_rtp(self, buffer: PacketBuffer, slots: Sequence[int], now: float) -> int:
        """Decrypts, counts and passes on packets that were read at `now`; how many were refused.

        What runs for each packet is all in here, and the usual header is read in one go.
        """
        if self._receiver is None:
            return len(slots)
        accepted = self._receiver.unprotect(buffer, slots)
        refused = len(slots) - len(accepted)
        data, sizes, ages, sink = buffer.view, buffer.sizes, buffer.ages, self.sink
        for slot in accepted:
            at, size, age = slot * MAX_DATAGRAM, sizes[slot], ages[slot]
            first, kind, seq, timestamp, ssrc, profile, words, element, level = _read(data, at)
            start, end = at + USUAL_PAYLOAD + 4 * words, at + size
            if (
                first == USUAL_FIRST
                and profile == ONE_BYTE_PROFILE
                and element & 0xF0 == self._level_element
                and words > 0
                and start <= end
            ):
                kind, level = kind & 127, level & 127
            else:
                try:
                    packet = parse(buffer.datagram(slot), size, self.level_id)
                except RtpError:
                    refused += self._refuse(ssrc)
                    continue
                kind, seq, timestamp, ssrc, level, start, end = packet
                start, end = at + start, at + end
            cost = size + PACKET_OVERHEAD
            dear = cost > self._allowance and not self._refill(cost, now)
            if kind != self.payload_type or dear:
                refused += self._refuse(ssrc)
                continue
            self._allowance -= cost
            stream = self.streams.get(ssrc) or self._new_stream(ssrc, seq)
            if stream is None:
                refused += self._refuse(ssrc)
                continue
            stream.add(seq, timestamp, now - age * _AGE_SECONDS)
            if level <= LOUD_DB or (level == NO_LEVEL and end - start >= LOUD_BYTES):
                self.loud += 1
            if self.kept and sink is not None:
                number = self.numbers.get(ssrc) or sink.open_stream(
                    self, ssrc, has_level=level != NO_LEVEL
                )
                # The record goes over the RTP header, which is no shorter (RFC 3550, 5.1).
                begin = start - PACKET.size
                _pack(data, begin, AGE_BYTES[age], level, number, seq, end - start, timestamp)
                sink.keep(data[begin:end])
        return refused

    def _new_stream(self, ssrc: int, seq: int) -> Reception | None:
        """None when there may be no more; those of before a restart count too."""
        known = self._resumed.keys() | self.streams.keys()
        if ssrc not in known and len(known) >= MAX_STREAMS:
            return None
        before = self._resumed.get(ssrc, seq)
        stream = self.streams[ssrc] = Reception(ssrc, before + (seq - before & 0xFFFF))
        return stream

    def _refuse(self, ssrc: int) -> int:
        self._forget_unless_taken(ssrc)
        return 1

    def _forget_unless_taken(self, ssrc: int) -> None:
        """Nothing stays of a packet that was authentic, but is of no stream."""
        known = ssrc in self.streams or ssrc in self._resumed
        if self._receiver is not None and not known:
            self._receiver.forget(ssrc)

    def _refill(self, cost: int, now: float) -> bool:
        """A token bucket over all streams of the peer, filled up when it is empty."""
        gained = max(0.0, now - self._allowed_at) * BYTES_PER_SECOND
        self._allowance = min(BYTES_PER_SECOND * BURST_SECONDS, self._allowance + gained)
        self._allowed_at = now
        return cost <= self._allowance

    def on_rtcp(self, datagram: bytes, now: float) -> bool:
        """Sender reports and BYE; False when the packet was refused."""
        plain = self._receiver.unprotect_rtcp(datagram) if self._receiver is not None else None
        if plain is None:
            return False
        self._forget_unless_taken(int.from_bytes(plain[4:8], "big"))
        cost = len(plain) + PACKET_OVERHEAD
        if cost > self._allowance and not self._refill(cost, now):
            return False
        self._allowance -= cost
        try:
            messages = rtcp.parse(plain)
        except rtcp.RtcpError:
            return False
        for message in messages:
            if isinstance(message, rtcp.SenderReport) and message.ssrc in self.streams:
                self.streams[message.ssrc].on_sender_report(message, now)
        return True

    def report(self, ssrc: int, cname: str, now: float) -> bytes | None:
        """A receiver report on every stream, encrypted; None before there is something to say."""
        if self._sender is None or not self.streams:
            return None
        blocks = [stream.report(now) for stream in self.streams.values()]
        return self._sender.protect_rtcp(rtcp.pack_receiver_report(ssrc, blocks, cname))

    def expired(self, now: float) -> str | None:
        """Why this peer is to be dropped, if it is."""
        if self.closed:
            return "closed by the client"
        if not self.established and now - self.created_at > HANDSHAKE_SECONDS:
            return "no handshake"
        if self.established and now - self.consent_at > CONSENT_SECONDS:
            return "no consent"
        return None
