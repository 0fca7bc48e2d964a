"""What ingest/webrtc.py takes for granted of the pinned aiortc, aioice, pylibsrtp and pyOpenSSL.

A failure here after an upgrade names the part of the wrapper that must be looked at.
"""

import importlib.metadata
import inspect
import struct

import pytest
from aioice import stun
from aiortc.rtcdtlstransport import SRTP_PROFILES, RTCCertificate
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL
from pylibsrtp import Policy, Session
from pylibsrtp._binding import ffi, lib

from ingest.webrtc import (
    FINGERPRINT_ALGORITHMS,
    BindingRequest,
    Dtls,
    DtlsError,
    PacketBuffer,
    SrtpKeys,
    SrtpReceiver,
    SrtpSender,
    split_records,
)
from tests.ingest.client import Client, check

PINNED = {"aiortc": "1.16.0", "aioice": "0.13.0", "pylibsrtp": "1.0.0"}
GCM = SrtpKeys("SRTP_AEAD_AES_256_GCM", bytes(range(44)), bytes(range(44, 88)))
CM = SrtpKeys("SRTP_AES128_CM_SHA1_80", bytes(range(30)), bytes(range(30, 60)))


@pytest.mark.parametrize(("package", "version"), PINNED.items())
def test_the_wrapped_versions_are_the_tested_ones(package: str, version: str) -> None:
    """Moved on purpose? Run this file, read the changelog, then change PINNED."""
    assert importlib.metadata.version(package) == version


def test_aiortc_makes_a_context_from_its_certificate() -> None:
    parameters = inspect.signature(RTCCertificate._create_ssl_context).parameters
    assert list(parameters) == ["self", "srtp_profiles"]
    context = RTCCertificate.generateCertificate()._create_ssl_context(SRTP_PROFILES)
    assert isinstance(context, SSL.Context)


def test_aiortc_lists_profiles_with_lengths_for_key_export() -> None:
    found = {p.openssl_profile: (p.key_length, p.salt_length) for p in SRTP_PROFILES}
    assert found == {
        b"SRTP_AEAD_AES_256_GCM": (32, 12),
        b"SRTP_AEAD_AES_128_GCM": (16, 12),
        b"SRTP_AES128_CM_SHA1_80": (16, 14),
    }
    material = bytes(range(88))
    assert SRTP_PROFILES[0].get_key_and_salt(material, 1) == (material[32:64] + material[76:88])


def test_aiortc_digests_certificates_with_these_hashes() -> None:
    assert FINGERPRINT_ALGORITHMS == ("sha-256", "sha-384", "sha-512")


def test_pyopenssl_has_dtls_timers_and_key_export() -> None:
    for name in (
        "DTLSv1_get_timeout",
        "DTLSv1_handle_timeout",
        "export_keying_material",
        "get_selected_srtp_profile",
        "set_ciphertext_mtu",
    ):
        assert callable(getattr(SSL.Connection, name)), name


def test_pylibsrtp_decrypts_in_place_through_its_binding() -> None:
    """`Session._srtp[0]` is the handle, and `srtp_unprotect` takes a char[] and an int*."""
    sender = Session(_policy(GCM.profile, GCM.receive, Policy.SSRC_ANY_OUTBOUND))
    receiver = Session(_policy(GCM.profile, GCM.receive, Policy.SSRC_ANY_INBOUND))
    plain = struct.pack("!BBHII", 0x80, 111, 5, 6, 7) + b"opus"
    data = bytearray(sender.protect(plain))
    length = ffi.new("int *", len(data))
    assert lib.srtp_unprotect(receiver._srtp[0], ffi.from_buffer("char[]", data), length) == 0
    assert bytes(data[: length[0]]) == plain


def _policy(profile: str, key: bytes, direction: int) -> Policy:
    chosen = next(p for p in SRTP_PROFILES if p.openssl_profile.decode() == profile)
    return Policy(key=key, ssrc_type=direction, srtp_profile=chosen.libsrtp_profile)


@given(
    start=st.integers(0, 0x7FFF),
    highest=st.integers(0, 9 * 0x10000),
    ahead=st.integers(1, 0x7FFF),
    keys=st.sampled_from([GCM, CM]),
)
def test_a_resumed_stream_goes_on_at_any_rollover_counter(
    start: int, highest: int, ahead: int, keys: SrtpKeys
) -> None:
    """The sender is at `highest` when the receiver dies, and `ahead` further when it is back."""
    sender = Session(_policy(keys.profile, keys.receive, Policy.SSRC_ANY_OUTBOUND))
    highest += start
    for seq in (*range(start, highest, 0x7000), highest):
        old = sender.protect(struct.pack("!BBHII", 0x80, 111, seq & 0xFFFF, 0, 7) + b"old")
    new = sender.protect(struct.pack("!BBHII", 0x80, 111, highest + ahead & 0xFFFF, 0, 7) + b"new")
    receiver, buffer = SrtpReceiver(keys), PacketBuffer()
    receiver.resume(7, highest)
    assert _unprotect(receiver, buffer, old) == -1, "a replay"
    assert _unprotect(receiver, buffer, new) > 0
    assert bytes(buffer.datagram(0))[12:] == b"new"


def _unprotect(receiver: SrtpReceiver, buffer: PacketBuffer, packet: bytes) -> int:
    """The size of what was authentic, else -1."""
    buffer.data[: len(packet)] = packet
    buffer.sizes[0] = len(packet)
    return buffer.sizes[0] if receiver.unprotect(buffer, [0]) else -1


def test_what_is_forged_is_refused_and_the_next_packet_is_not() -> None:
    sender = Session(_policy(GCM.profile, GCM.receive, Policy.SSRC_ANY_OUTBOUND))
    packets = [sender.protect(struct.pack("!BBHII", 0x80, 111, n, 0, 7) + b"x") for n in range(3)]
    receiver, buffer = SrtpReceiver(GCM), PacketBuffer()
    assert _unprotect(receiver, buffer, packets[0][:-1] + b"\0") == -1
    assert _unprotect(receiver, buffer, packets[1]) > 0
    assert _unprotect(receiver, buffer, packets[1]) == -1
    assert _unprotect(receiver, buffer, packets[2]) > 0


def test_rtcp_both_ways() -> None:
    plain = struct.pack("!BBHI", 0x80, 201, 1, 9)
    swapped = SrtpKeys(GCM.profile, GCM.send, GCM.receive)
    protected = SrtpSender(GCM).protect_rtcp(plain)
    assert SrtpReceiver(swapped).unprotect_rtcp(protected) == plain
    assert SrtpReceiver(GCM).unprotect_rtcp(protected) is None
    assert SrtpReceiver(GCM).unprotect_rtcp(bytes(3000)) is None


def test_aioice_writes_checks_that_we_read_and_reads_our_response() -> None:
    request = BindingRequest.read(check("ours", "secret"))
    assert request is not None
    assert (request.local_ufrag, request.remote_ufrag) == ("ours", "Wqx3")
    assert request.authenticate("wrong") is None
    binding = request.authenticate("secret")
    assert binding is not None
    assert binding.nominated
    for address in (("192.0.2.1", 5), ("2001:db8::7%eth0", 6, 0, 2)):
        response = stun.parse_message(binding.response(address))
        assert response.message_class is stun.Class.RESPONSE
        assert response.check_message_integrity(b"secret")
        assert response.attributes["XOR-MAPPED-ADDRESS"] == (
            str(address[0]).partition("%")[0],
            address[1],
        )


@given(data=st.binary(max_size=200))
def test_any_bytes_are_no_binding(data: bytes) -> None:
    request = BindingRequest.read(data)
    assert request is None or request.authenticate("secret") is None


@given(at=st.integers(20, 99), byte=st.integers(0, 255))
def test_a_damaged_check_is_refused_or_unharmed(at: int, byte: int) -> None:
    """Behind the integrity only the fingerprint follows, which is optional (RFC 8489, 14.7)."""
    good = check("ours", "secret")
    at = min(at, len(good) - 9)
    damaged = good[:at] + bytes([byte]) + good[at + 1 :]
    request = BindingRequest.read(damaged)
    if damaged == good:
        assert request is not None
        assert request.authenticate("secret") is not None
    else:
        assert request is None or request.authenticate("secret") is None


def test_a_handshake_gives_both_sides_the_same_keys_for_every_profile() -> None:
    for index in range(len(SRTP_PROFILES)):
        client, server = Client(slice(index, index + 1)), Dtls().accept()
        datagrams = client.step([])
        for _ in range(5):
            for datagram in datagrams:
                server.receive(datagram)
            datagrams = client.step(server.outgoing())
        assert client.established
        assert server.established
        assert server.peer_fingerprint("sha-256") == client.fingerprints["sha-256"]
        keys = server.export_keys()
        assert keys.profile.encode() == SRTP_PROFILES[index].openssl_profile
        buffer = PacketBuffer()
        size = _unprotect(SrtpReceiver(keys), buffer, client.rtp(1))
        assert bytes(buffer.data[:size]).endswith(b"opus")
        assert client.hear_rtcp(SrtpSender(keys).protect_rtcp(struct.pack("!BBHI", 128, 201, 1, 1)))


def test_an_unknown_profile_is_an_error_of_ours() -> None:
    with pytest.raises(DtlsError, match="SRTP_ROT13"):
        SrtpReceiver(SrtpKeys("SRTP_ROT13", b"", b""))


@given(st.lists(st.integers(0, 1180), max_size=12))
def test_records_are_never_cut_nor_datagrams_too_long(sizes: list[int]) -> None:
    records = [b"\x16\xfe\xfd" + bytes(8) + n.to_bytes(2, "big") + bytes(n) for n in sizes]
    datagrams = split_records(b"".join(records))
    assert b"".join(datagrams) == b"".join(records)
    assert all(0 < len(d) <= 1200 for d in datagrams)
    for datagram in datagrams:
        at = 0
        while at < len(datagram):
            at += 13 + int.from_bytes(datagram[at + 11 : at + 13], "big")
        assert at == len(datagram)
