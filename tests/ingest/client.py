"""The client's side of a session without a network: STUN checks, DTLS and SRTP, sans-I/O."""

import pylibsrtp
from aioice import stun
from aiortc.rtcdtlstransport import SRTP_PROFILES, RTCCertificate
from OpenSSL import SSL

from ingest.rtp import pack
from ingest.webrtc import split_records

PAYLOAD_TYPE = 111
LEVEL_ID = 14


def check(
    local_ufrag: str, password: str, *, remote_ufrag: str = "Wqx3", nominate: bool = True
) -> bytes:
    """A binding request as a controlling agent sends it."""
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    request.attributes["USERNAME"] = f"{local_ufrag}:{remote_ufrag}"
    request.attributes["PRIORITY"] = 1
    request.attributes["ICE-CONTROLLING"] = 1
    if nominate:
        request.attributes["USE-CANDIDATE"] = None
    request.add_message_integrity(password.encode())
    return bytes(request)


class Client:
    """A speaker's DTLS; after `established`, encrypts what it is told to say."""

    def __init__(self, profiles: slice = slice(None), *, active: bool = True) -> None:
        certificate = RTCCertificate.generateCertificate()
        self.fingerprints = {f.algorithm: f.value for f in certificate.getFingerprints()}
        self._profiles = SRTP_PROFILES[profiles]
        self._ssl = SSL.Connection(certificate._create_ssl_context(self._profiles))
        self._active = active
        if active:
            self._ssl.set_connect_state()
        else:
            self._ssl.set_accept_state()
        self.established = False
        self.farewell = False
        self._srtp: pylibsrtp.Session | None = None
        self._hears: pylibsrtp.Session | None = None

    def step(self, received: list[bytes]) -> list[bytes]:
        """Takes datagrams of the server, gives those to send."""
        for datagram in received:
            self._ssl.bio_write(datagram)
        try:
            if self.established:
                self._ssl.recv(2000)
            else:
                self._ssl.do_handshake()
                self.established = True
                self._export()
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.farewell = True
        return self._outgoing()

    def timeout(self) -> list[bytes]:
        """Sends the last flight again if its timer has run out."""
        if self._ssl.DTLSv1_get_timeout() == 0:
            self._ssl.DTLSv1_handle_timeout()
        return self._outgoing()

    def leave(self) -> list[bytes]:
        self._ssl.shutdown()
        return self._outgoing()

    def _outgoing(self) -> list[bytes]:
        data = b""
        while True:
            try:
                data += self._ssl.bio_read(65536)
            except SSL.Error:
                return split_records(data)

    def _export(self) -> None:
        name = self._ssl.get_selected_srtp_profile()
        profile = next(p for p in SRTP_PROFILES if p.openssl_profile == name)
        size = 2 * (profile.key_length + profile.salt_length)
        material = self._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", size)

        def session(index: int, direction: int) -> pylibsrtp.Session:
            key = profile.get_key_and_salt(material, index)
            policy = pylibsrtp.Policy(
                key=key, ssrc_type=direction, srtp_profile=profile.libsrtp_profile
            )
            return pylibsrtp.Session(policy)

        self._srtp = session(int(not self._active), pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
        self._hears = session(int(self._active), pylibsrtp.Policy.SSRC_ANY_INBOUND)

    def rtp(
        self,
        seq: int,
        *,
        ssrc: int = 77,
        payload: bytes = b"opus",
        level: int | None = 30,
        payload_type: int = PAYLOAD_TYPE,
    ) -> bytes:
        assert self._srtp is not None
        plain = pack(
            payload_type=payload_type,
            seq=seq & 0xFFFF,
            timestamp=seq * 960 & 0xFFFFFFFF,
            ssrc=ssrc,
            payload=payload,
            extensions=None if level is None else {LEVEL_ID: bytes([level])},
        )
        return bytes(self._srtp.protect(plain))

    def rtcp(self, plain: bytes) -> bytes:
        assert self._srtp is not None
        return bytes(self._srtp.protect_rtcp(plain))

    def hear_rtcp(self, datagram: bytes) -> bytes:
        assert self._hears is not None
        return bytes(self._hears.unprotect_rtcp(datagram))
