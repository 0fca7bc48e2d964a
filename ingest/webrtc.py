"""The private parts of aiortc, aioice and pylibsrtp, wrapped: nothing else here imports them.

DTLS with key export (RFC 5764), SRTP in place (RFC 3711), STUN binding (RFC 8489). Everything
is sans-I/O: datagrams in, datagrams out. tests/ingest/test_webrtc_contract.py names what breaks
when a pinned version moves.
"""

import contextlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import pylibsrtp
from aioice import stun
from aiortc.rtcdtlstransport import (
    SRTP_PROFILES,
    X509_DIGEST_ALGORITHMS,
    RTCCertificate,
    SRTPProtectionProfile,
    certificate_digest,
)
from OpenSSL import SSL
from pylibsrtp._binding import ffi, lib

Address = tuple[str, int] | tuple[str, int, int, int]
"""What `recvfrom` gives: (host, port), with flow and scope for IPv6."""

MAX_DATAGRAM: Final = 1600
"""Longer ones are cut off and fail authentication; Opus at its highest rate needs 1,300. An odd
number of cache lines: with a power of two, the beginnings of all slots compete for a few sets."""

FINGERPRINT_ALGORITHMS: Final = tuple(X509_DIGEST_ALGORITHMS)

_DTLS_MTU = 1200
_DTLS_RECORD_HEADER = 13
_EXPORTER_LABEL = b"EXTRACTOR-dtls_srtp"  # RFC 5764, 4.2
_REPLAY_WINDOW = 1024
_SEQ_STEP = 30_000
"""Below half of the sequence space: SRTP's estimate of the rollover counter stays right."""

_RTP_HEADER = struct.Struct("!BBHII")
_STUN_HEADER = struct.Struct("!HHI12s")
_STUN_ATTRIBUTE = struct.Struct("!HH")
_BINDING_REQUEST = 0x0001
_STUN_COOKIE = 0x2112A442
_USERNAME = 0x0006
_unprotect = lib.srtp_unprotect
_USERNAME_AMONG = 16
"""Attributes that are looked at for the user name: what strangers send costs no more than that."""


class DtlsError(Exception):
    """The handshake cannot succeed: an alert, no common cipher, or a wrong certificate."""


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """Master keys with salts as libsrtp takes them; `profile` is OpenSSL's name of the profile."""

    profile: str
    receive: bytes
    send: bytes


class PacketBuffer:
    """Datagrams' memory, read into by the socket and decrypted in place by libsrtp.

    Slot n is `sizes[n]` bytes of `data` from n * MAX_DATAGRAM on. `ages[n]` says how long it had
    waited in the socket when it was read, as the journal counts ages.
    """

    def __init__(self, slots: int = 1) -> None:
        self.slots = slots
        self.data = bytearray(slots * MAX_DATAGRAM)
        self.view = memoryview(self.data)
        lengths = ffi.new("int[]", slots)
        self.sizes = memoryview(ffi.buffer(lengths)).cast("B").cast("i")
        self.ages: Sequence[int] = (0,) * slots
        memory = ffi.from_buffer("char[]", self.data)
        self.pointers = [memory + slot * MAX_DATAGRAM for slot in range(slots)]
        self.lengths = [lengths + slot for slot in range(slots)]
        self._alive = lengths, memory  # what is pointed to lives as long as this

    def datagram(self, slot: int) -> memoryview:
        """The slot's bytes, until it is read into again."""
        begin = slot * MAX_DATAGRAM
        return self.view[begin : begin + self.sizes[slot]]


def _profile(name: str) -> SRTPProtectionProfile:
    for profile in SRTP_PROFILES:
        if profile.openssl_profile.decode() == name:
            return profile
    raise DtlsError(f"SRTP profile {name} is not available")


def _session(profile: str, key: bytes, direction: int) -> pylibsrtp.Session:
    policy = pylibsrtp.Policy(
        key=key, ssrc_type=direction, srtp_profile=_profile(profile).libsrtp_profile
    )
    policy.window_size = _REPLAY_WINDOW
    policy.allow_repeat_tx = True
    return pylibsrtp.Session(policy)


class SrtpReceiver:
    """Decrypts what one peer sends, any SSRC, with replay protection."""

    def __init__(self, keys: SrtpKeys) -> None:
        self._keys = keys
        self._session = _session(keys.profile, keys.receive, pylibsrtp.Policy.SSRC_ANY_INBOUND)
        self._handle = self._session._srtp[0]

    def unprotect(self, buffer: PacketBuffer, slots: Iterable[int]) -> list[int]:
        """Decrypts in place; the slots that are authentic and new, whose sizes are less now."""
        handle, pointers, lengths = self._handle, buffer.pointers, buffer.lengths
        return [slot for slot in slots if not _unprotect(handle, pointers[slot], lengths[slot])]

    def unprotect_rtcp(self, packet: bytes) -> bytes | None:
        try:
            return bytes(self._session.unprotect_rtcp(packet))
        except (pylibsrtp.Error, ValueError):
            return None

    def forget(self, ssrc: int) -> None:
        """Frees a stream that is not wanted.

        libsrtp keeps state for every SSRC that it has authenticated and looks through all of it
        for each packet.
        """
        with contextlib.suppress(pylibsrtp.Error):
            self._session.remove_stream(ssrc)

    def resume(self, ssrc: int, highest: int) -> None:
        """Brings one stream to `highest` (rollover counter << 16 | sequence number).

        libsrtp keeps the counter to itself, so a twin sender with the same key leads the
        receiver there, in steps that both follow; its packets never leave the process.
        """
        twin = _session(self._keys.profile, self._keys.receive, pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
        at = min(highest, _SEQ_STEP)
        while True:
            header = _RTP_HEADER.pack(0x80, 0, at & 0xFFFF, 0, ssrc)
            self._session.unprotect(twin.protect(header))
            if at == highest:
                return
            at = min(highest, at + _SEQ_STEP)


class SrtpSender:
    """Encrypts the RTCP that goes to one peer."""

    def __init__(self, keys: SrtpKeys) -> None:
        self._session = _session(keys.profile, keys.send, pylibsrtp.Policy.SSRC_ANY_OUTBOUND)

    def protect_rtcp(self, packet: bytes) -> bytes:
        return bytes(self._session.protect_rtcp(packet))


class Dtls:
    """This process's certificate, and handshakes with it."""

    def __init__(self) -> None:
        certificate = RTCCertificate.generateCertificate()
        self._context: SSL.Context = certificate._create_ssl_context(SRTP_PROFILES)
        self._context.set_options(SSL.OP_NO_QUERY_MTU)
        self.fingerprint = next(
            f.value for f in certificate.getFingerprints() if f.algorithm == "sha-256"
        )

    def accept(self) -> "DtlsConnection":
        """The passive side: waits for the client's first flight."""
        return DtlsConnection(self._context, active=False)

    def connect(self) -> "DtlsConnection":
        """The active side: its first flight is in `outgoing` at once."""
        return DtlsConnection(self._context, active=True)


class DtlsConnection:
    """One handshake. Feed datagrams, send what `outgoing` gives, ask `established`."""

    def __init__(self, context: SSL.Context, *, active: bool) -> None:
        self._active = active
        self._ssl = SSL.Connection(context)
        self._ssl.set_ciphertext_mtu(_DTLS_MTU)
        if active:
            self._ssl.set_connect_state()
            with contextlib.suppress(SSL.WantReadError):
                self._ssl.do_handshake()
        else:
            self._ssl.set_accept_state()
        self.established = False
        self.closed = False

    def receive(self, datagram: bytes) -> None:
        """Raises DtlsError when the handshake cannot go on."""
        self._ssl.bio_write(datagram)
        try:
            if not self.established:
                self._ssl.do_handshake()
                self.established = True
            while True:
                # Nothing is said in application data, but what is not read stays in memory.
                self._ssl.recv(MAX_DATAGRAM)
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.closed = True
        except SSL.Error as error:
            if self.established:
                self.closed = True
            else:
                raise DtlsError(f"handshake failed, {_reason(error)}") from error

    def outgoing(self) -> list[bytes]:
        """The datagrams to send now: whole DTLS records, none cut in two."""
        chunks: list[bytes] = []
        while True:
            try:
                chunks.append(self._ssl.bio_read(65536))
            except SSL.Error:
                break
        return split_records(b"".join(chunks))

    def handle_timeout(self) -> list[bytes]:
        """Our last flight again, when OpenSSL's timer for it has run out; mostly nothing."""
        if self._ssl.DTLSv1_get_timeout() != 0:
            return []
        try:
            self._ssl.DTLSv1_handle_timeout()
        except SSL.Error as error:
            raise DtlsError("no answer to our flights") from error
        return self.outgoing()

    def close(self) -> list[bytes]:
        """The close_notify alert."""
        if self.established and not self.closed:
            self.closed = True
            try:
                self._ssl.shutdown()
            except SSL.Error:
                return []
            return self.outgoing()
        return []

    def peer_fingerprint(self, algorithm: str) -> str:
        """Of the certificate that the peer has shown, upper-case hex with colons (RFC 8122)."""
        certificate = self._ssl.get_peer_certificate(as_cryptography=True)
        if certificate is None:
            raise DtlsError("no certificate")
        return certificate_digest(certificate, algorithm)

    def export_keys(self) -> SrtpKeys:
        """The SRTP keys of both directions; the DTLS client's come first (RFC 5764, 4.2)."""
        name = self._ssl.get_selected_srtp_profile().decode()
        profile = _profile(name)
        size = 2 * (profile.key_length + profile.salt_length)
        material = self._ssl.export_keying_material(_EXPORTER_LABEL, size)
        return SrtpKeys(
            profile=name,
            receive=profile.get_key_and_salt(material, int(self._active)),
            send=profile.get_key_and_salt(material, int(not self._active)),
        )


def _reason(error: SSL.Error) -> str:
    """OpenSSL's own words for it, like "wrong curve"; nothing of either side."""
    queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return ", ".join(str(entry[-1]) for entry in queue) or type(error).__name__


def split_records(data: bytes) -> list[bytes]:
    """Packs DTLS records (RFC 6347, 4.1) into datagrams of at most the MTU."""
    datagrams: list[bytes] = []
    begin = at = 0
    while at + _DTLS_RECORD_HEADER <= len(data):
        end = at + _DTLS_RECORD_HEADER + int.from_bytes(data[at + 11 : at + 13], "big")
        if end - begin > _DTLS_MTU and at > begin:
            datagrams.append(data[begin:at])
            begin = at
        at = end
    if at > begin:
        datagrams.append(data[begin:at])
    return datagrams


@dataclass(frozen=True, slots=True)
class BindingRequest:
    """A STUN binding request that names a session; not yet authenticated."""

    local_ufrag: str
    remote_ufrag: str
    data: bytes

    @classmethod
    def read(cls, data: bytes) -> "BindingRequest | None":
        """The request's user name (RFC 8445, 7.2.2), found without reading anything else."""
        if len(data) < _STUN_HEADER.size:
            return None
        kind, length, cookie, _ = _STUN_HEADER.unpack_from(data)
        at = _STUN_HEADER.size
        if kind != _BINDING_REQUEST or cookie != _STUN_COOKIE or at + length != len(data):
            return None
        for _ in range(_USERNAME_AMONG):
            if at + 4 > len(data):
                break
            attribute, size = _STUN_ATTRIBUTE.unpack_from(data, at)
            if attribute == _USERNAME:
                local, _, remote = data[at + 4 : at + 4 + size].decode("latin-1").partition(":")
                return cls(local, remote, data)
            at += 4 + size + (-size % 4)
        return None

    def authenticate(self, password: str) -> "Binding | None":
        """The binding, if the message integrity proves that its sender knows `password`."""
        try:
            message = stun.parse_message(self.data)
            if not message.check_message_integrity(password.encode()):
                return None
        except (ValueError, struct.error, IndexError):
            return None
        return Binding(
            message.transaction_id, password, nominated="USE-CANDIDATE" in message.attributes
        )


@dataclass(frozen=True, slots=True)
class Binding:
    """An authenticated binding request; `nominated` says that the client chose this pair."""

    transaction_id: bytes
    password: str
    nominated: bool

    def response(self, address: Address) -> bytes:
        """Success, with the address that the request came from (RFC 8489, 14.2)."""
        message = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.RESPONSE,
            transaction_id=self.transaction_id,
        )
        host = address[0].partition("%")[0].removeprefix("::ffff:")  # IPv4 on a socket for both
        message.attributes["XOR-MAPPED-ADDRESS"] = (host, address[1])
        message.add_message_integrity(self.password.encode())
        return bytes(message)
