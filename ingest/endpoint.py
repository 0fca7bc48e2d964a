"""One UDP socket for all peers, drained every few milliseconds; no task or timer per peer.

What a stranger sends costs a look-up: RTP and DTLS count only from addresses whose STUN check
was authentic, and a STUN message is read in full only when it names a session of ours.
"""

import asyncio
import contextlib
import enum
import logging
import secrets
import socket
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import Final

from ingest.batch import SLOTS, batch_of
from ingest.peer import Peer
from ingest.room_clock import monotonic_us
from ingest.rtp import MIN_HEADER_BYTES, RTCP
from ingest.udp import RECEIVE_BUFFER_BYTES, granted_bytes
from ingest.webrtc import Address, BindingRequest, Dtls, DtlsError

log = logging.getLogger(__name__)

DRAIN_SECONDS: Final = 0.1
"""A packet's cost falls with the number that is read at once, above all of one peer."""

NARROW_DRAIN_SECONDS: Final = 0.05
"""Where the socket has less buffer than asked: a packet takes about a kilobyte of it."""

SHORT_DRAIN_SECONDS: Final = 0.017
"""While somebody connects, who waits for answers; and where the kernel does not say when packets
arrived: no part or multiple of 20 ms, so that every stream has some that are read as they come."""

MAX_PER_DRAIN: Final = 2 * SLOTS
"""Then the loop gets its turn: a flood delays others, it does not stop them."""
HANDSHAKE_TICK_SECONDS: Final = 0.1
SWEEP_SECONDS: Final = 1.0
REPORT_SWEEPS: Final = 5
"""A receiver report every so many sweeps (RFC 3550, 6.2 gives 5 s as the minimum)."""


class Dropped(enum.StrEnum):
    """Why a datagram was read and nothing came of it, by what it said it was (RFC 7983)."""

    STRANGE_STUN = "strange_stun"
    """No binding request, or one that names no session."""
    STRANGE_DTLS = "strange_dtls"
    """From an address without a session, like the next."""
    STRANGE_MEDIA = "strange_media"
    UNREADABLE = "unreadable"
    """Nothing that is spoken here."""
    REFUSED_STUN = "refused_stun"
    """Names a session without its password, or an address that is another's."""
    REFUSED_DTLS = "refused_dtls"
    """The handshake cannot succeed: it ends the session."""
    REFUSED_RTP = "refused_rtp"
    """Forged, replayed, malformed, of another payload type, or too much."""
    REFUSED_RTCP = "refused_rtcp"


_STRANGE: Final = (
    Dropped.STRANGE_STUN,
    Dropped.STRANGE_DTLS,
    Dropped.STRANGE_MEDIA,
    Dropped.UNREADABLE,
)


class Endpoint:
    """Brings datagrams to peers.

    `on_established` is called when a peer's handshake is done and again when its address or
    credentials have changed, `on_gone` when one is dropped, `on_drained` after each batch of
    datagrams with the monotonic microsecond at which it was read.
    """

    def __init__(
        self,
        sock: socket.socket,
        *,
        on_established: Callable[[Peer], None],
        on_gone: Callable[[Peer], None],
        on_drained: Callable[[int], None],
    ) -> None:
        self._socket = sock
        self._dtls = Dtls()
        self._on_established = on_established
        self._on_gone = on_gone
        self._on_drained = on_drained
        self._batch = batch_of(sock)
        self._peers: dict[str, Peer] = {}
        self._by_ufrag: dict[str, Peer] = {}
        self._by_address: dict[Address, Peer] = {}
        self._by_origin: dict[Hashable, Peer] = {}
        """The same, as the batch names addresses, where something came from them since."""

        self._waiting: defaultdict[Peer, list[int]] = defaultdict(list)
        """Slots of the drain that is read, with RTP that its peer takes in one go."""

        self._loop: asyncio.AbstractEventLoop | None = None
        self._pace = SHORT_DRAIN_SECONDS
        roomy = granted_bytes(sock) >= RECEIVE_BUFFER_BYTES
        self._calm_pace = DRAIN_SECONDS if roomy else NARROW_DRAIN_SECONDS
        self._timers: dict[Callable[[], None], asyncio.TimerHandle] = {}
        # New in every run: SRTCP may not use an index twice under one key and SSRC, and a
        # resumed session begins its indexes again (RFC 3711, 9.1).
        self._ssrc = secrets.randbits(32)
        self._cname = secrets.token_hex(8)
        self._sweeps = 0
        self.datagrams = 0
        self.dropped: Counter[Dropped] = Counter()

    @property
    def unknown(self) -> int:
        """Datagrams of strangers."""
        return sum(self.dropped[kind] for kind in _STRANGE)

    @property
    def refused(self) -> int:
        """Datagrams that claimed to be a session's."""
        return self.dropped.total() - self.unknown

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    @property
    def fingerprint(self) -> str:
        return self._dtls.fingerprint

    @property
    def peers(self) -> list[Peer]:
        return list(self._peers.values())

    def peer(self, session_id: str) -> Peer | None:
        return self._peers.get(session_id)

    def start(self) -> None:
        """Begins to read, on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._on_readable)
        self._handshake_tick()
        self._sweep()

    def stop(self) -> None:
        """Ends reading after what has arrived; peers are left as they are."""
        if self._loop is not None:
            self._loop.remove_reader(self._socket.fileno())
            for timer in self._timers.values():
                timer.cancel()
            self._drain()
            self._loop = None
        self._socket.close()

    def add(self, peer: Peer) -> None:
        self._pace = SHORT_DRAIN_SECONDS
        self._peers[peer.session_id] = peer
        self.register(peer)
        for address in peer.addresses:
            self._by_address[address] = peer
        self._by_origin.clear()

    def register(self, peer: Peer) -> None:
        """Makes the peer's credentials known, and only those; again after an ICE restart."""
        for ufrag in [u for u, p in self._by_ufrag.items() if p is peer]:
            del self._by_ufrag[ufrag]
        for credentials in (peer.credentials, peer.restarting):
            if credentials is not None:
                self._by_ufrag[credentials.ufrag] = peer

    def drop(self, peer: Peer) -> None:
        """Forgets the peer and says so by DTLS; later datagrams of it are a stranger's."""
        if self._peers.pop(peer.session_id, None) is None:
            return
        self._send(peer, peer.close())
        for table in (self._by_ufrag, self._by_address):
            for key in [k for k, p in table.items() if p is peer]:
                del table[key]  # type: ignore[arg-type]  # the key is of that table
        self._by_origin.clear()
        self._on_gone(peer)

    # Reading. The first datagram after a silence is read at once, further ones in a batch.

    def _on_readable(self) -> None:
        if self._loop is None:
            return
        self._loop.remove_reader(self._socket.fileno())
        pace = self._pace
        try:
            if self._drain():
                pace = 0.0  # others get their turn, then it goes on
        finally:
            self._again(pace, self._listen_again)

    def _listen_again(self) -> None:
        if self._loop is not None:
            self._loop.add_reader(self._socket.fileno(), self._on_readable)

    def drain(self) -> None:
        """Takes what has arrived, before something changes that it is judged by."""
        if self._loop is not None:
            self._drain()

    def _drain(self) -> bool:
        """Whether more may be waiting."""
        for _ in range(MAX_PER_DRAIN // SLOTS):
            try:
                count = self._batch.receive()
            except OSError as error:
                log.warning("UDP socket: %s", error.strerror)
                count = 0
            now_us = monotonic_us()
            self._take(count, now_us / 1_000_000)
            self._on_drained(now_us)
            if count < SLOTS:
                return False
        return True

    def _take(self, count: int, now: float) -> None:
        """All RTP of a peer goes to it at once; what else it sends comes in its place."""
        self.datagrams += count
        peers, rtp = self._by_origin, self._waiting
        for slot, (origin, size, first, second) in enumerate(self._batch.arrived(count)):
            peer = peers.get(origin) or self._peer_at(origin)
            if peer and size >= MIN_HEADER_BYTES and first >> 6 == 2 and second not in RTCP:
                rtp[peer].append(slot)
                continue
            try:
                if peer and peer in rtp:
                    self._take_rtp(peer, rtp.pop(peer), now)
                self._dispatch(slot, origin, peer, now)
            except Exception:
                # One datagram's fault must not silence the others.
                log.exception("a datagram could not be handled")
        self._take_waiting(now)

    def _take_waiting(self, now: float) -> None:
        for peer, slots in self._waiting.items():
            self._take_rtp(peer, slots, now)
        self._waiting.clear()

    def _take_rtp(self, peer: Peer, slots: Sequence[int], now: float) -> None:
        try:
            self.dropped[Dropped.REFUSED_RTP] += peer.on_rtp(self._batch.buffer, slots, now)
        except Exception:
            # One peer's fault must not silence the others.
            log.exception("packets of participant %s could not be handled", peer.participant_id)

    def _peer_at(self, origin: Hashable) -> Peer | None:
        """Of an origin that nothing has come from since addresses were learned."""
        peer = self._by_address.get(self._batch.address(origin))
        if peer is not None:
            self._by_origin[origin] = peer
        return peer

    def _dispatch(self, slot: int, origin: Hashable, peer: Peer | None, now: float) -> None:
        """By the first byte (RFC 7983, 7)."""
        address = self._batch.address(origin)
        datagram = bytes(self._batch.buffer.datagram(slot))
        first = datagram[0] if datagram else 255
        if 128 <= first <= 191:
            self._on_rtcp(peer, datagram, now)
        elif first <= 3:
            self._on_stun(datagram, address, now)
        elif 20 <= first <= 63:
            self._on_dtls(datagram, address, now)
        else:
            self.dropped[Dropped.UNREADABLE] += 1

    def _on_rtcp(self, peer: Peer | None, datagram: bytes, now: float) -> None:
        """And what is too short for it, or from a stranger."""
        if peer is None or len(datagram) < MIN_HEADER_BYTES:
            self.dropped[Dropped.STRANGE_MEDIA] += 1
        elif not peer.on_rtcp(datagram, now):
            self.dropped[Dropped.REFUSED_RTCP] += 1

    def _on_stun(self, datagram: bytes, address: Address, now: float) -> None:
        request = BindingRequest.read(datagram)
        peer = self._by_ufrag.get(request.local_ufrag) if request is not None else None
        if request is None or peer is None:
            self.dropped[Dropped.STRANGE_STUN] += 1
            return
        if self._is_anothers(address, peer, now):
            self.dropped[Dropped.REFUSED_STUN] += 1
            return
        before, known = (peer.address, peer.credentials), list(peer.addresses)
        response = peer.authenticate(request, address, now)
        if response is None:
            self.dropped[Dropped.REFUSED_STUN] += 1
            return
        self._learn(peer, address, known)
        self._send_to(address, response)
        self._send(peer, peer.begin_dtls(self._dtls.connect))
        if peer.established and (peer.address, peer.credentials) != before:
            self._announce(peer, now)

    def _learn(self, peer: Peer, address: Address, known: list[Address]) -> None:
        """The peer is at `address`, and no more at those of `known` that it has given up."""
        for evicted in known:
            if evicted not in peer.addresses and self._by_address.get(evicted) is peer:
                del self._by_address[evicted]
        if self._by_address.get(address) is not peer:
            self._by_origin.clear()
        self._by_address[address] = peer

    def _is_anothers(self, address: Address, peer: Peer, now: float) -> bool:
        """Whether somebody else speaks from there: a forged source would cut off his voice."""
        holder = self._by_address.get(address)
        return (
            holder is not None
            and holder.participant_id != peer.participant_id
            and holder.holds(address, now)
        )

    def _announce(self, peer: Peer, now: float) -> None:
        """It may take another's place, whose packets of this drain came before."""
        self._take_waiting(now)
        self._on_established(peer)

    def _on_dtls(self, datagram: bytes, address: Address, now: float) -> None:
        peer = self._by_address.get(address)
        if peer is None:
            self.dropped[Dropped.STRANGE_DTLS] += 1
            return
        established = peer.established
        try:
            answers = peer.on_dtls(datagram, self._dtls.accept)
        except DtlsError as error:
            self.dropped[Dropped.REFUSED_DTLS] += 1
            log.info("session of participant %s failed: %s", peer.participant_id, error)
            self.drop(peer)
            return
        self._send(peer, answers)
        if peer.established and not established:
            self._announce(peer, now)
        if peer.closed:
            self.drop(peer)

    # Writing. A full socket buffer loses a datagram, as the network may.

    def _send(self, peer: Peer, datagrams: list[bytes]) -> None:
        if peer.address is not None:
            for datagram in datagrams:
                self._send_to(peer.address, datagram)

    def _send_to(self, address: Address, datagram: bytes) -> None:
        with contextlib.suppress(OSError):
            self._socket.sendto(datagram, address)

    # Timers

    def _handshake_tick(self) -> None:
        waits = not all(peer.established for peer in self._peers.values())
        short = waits or not self._batch.tells_ages
        self._pace = SHORT_DRAIN_SECONDS if short else self._calm_pace
        self._again(HANDSHAKE_TICK_SECONDS, self._handshake_tick)
        for peer in [p for p in self._peers.values() if p.handshaking]:
            try:
                self._send(peer, peer.handshake_timeout())
            except DtlsError:
                self.drop(peer)

    def _sweep(self) -> None:
        self._again(SWEEP_SECONDS, self._sweep)
        now = monotonic_us() / 1_000_000
        self._sweeps += 1
        for number, peer in enumerate(self.peers):
            reports = (number + self._sweeps) % REPORT_SWEEPS == 0
            try:
                self._look_after(peer, now, reports=reports)
            except Exception:
                # One peer's fault must not keep the others' sessions.
                log.exception("session of participant %s", peer.participant_id)

    def _look_after(self, peer: Peer, now: float, *, reports: bool) -> None:
        why = peer.expired(now)
        if why is not None:
            log.info("session of participant %s ends: %s", peer.participant_id, why)
            peer.lost = not peer.closed
            self.drop(peer)
        elif reports:
            report = peer.report(self._ssrc, self._cname, now)
            self._send(peer, [] if report is None else [report])

    def _again(self, delay: float, callback: Callable[[], None]) -> None:
        if self._loop is not None:
            self._timers[callback] = self._loop.call_later(delay, callback)
