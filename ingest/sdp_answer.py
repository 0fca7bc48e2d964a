"""Our side of a WHIP session in SDP: the answer to an offer, and to an ICE restart."""

from dataclasses import dataclass

from ingest.rtp import AUDIO_LEVEL_URI, MID_URI
from ingest.sdp import RTP_PROTOCOLS, Media, Offer


@dataclass(frozen=True, slots=True)
class Candidate:
    """A host candidate of ours: an IP address and the UDP port."""

    host: str
    port: int

    @property
    def family(self) -> str:
        return "IP6" if ":" in self.host else "IP4"

    def line(self, number: int) -> str:
        """Priorities fall in the order of the candidates (RFC 8445, 5.1.2.1)."""
        priority = 126 << 24 | (65535 - number) << 8 | 255
        return f"a=candidate:{number + 1} 1 udp {priority} {self.host} {self.port} typ host"


@dataclass(frozen=True, slots=True)
class Local:
    """Our side of a session: ICE credentials, DTLS fingerprint (sha-256) and addresses."""

    ufrag: str
    password: str
    fingerprint: str
    candidates: tuple[Candidate, ...]


def answer(offer: Offer, local: Local, *, session_id: int) -> str:
    """The answer; `session_id` is the number of the o= line (RFC 8866, 5.2)."""
    first = local.candidates[0]
    lines = ["v=0", f"o=- {session_id} 1 IN {first.family} {first.host}", "s=-", "t=0 0"]
    lines.append("a=ice-lite")
    if offer.bundled:
        lines.append(f"a=group:BUNDLE {offer.audio.mid}")
    for index, media in enumerate(offer.media):
        taken = index == offer.taken
        lines += _taken(offer, local) if taken else _refused(media, offer, local)
    return "\r\n".join(lines) + "\r\n"


def _refused(media: Media, offer: Offer, local: Local) -> list[str]:
    """Port 0 (RFC 3264, 6); the section stays, because answers keep the offer's order.

    GStreamer takes no answer of which a section, used or not, lacks DTLS and ICE.
    """
    formats = " ".join(media.formats)
    lines = [f"m={media.kind} 0 {media.protocol} {formats}", "c=IN IP4 0.0.0.0", "a=inactive"]
    lines += [f"a=mid:{media.mid}"] if media.mid is not None else []
    if media.protocol not in RTP_PROTOCOLS:
        return lines
    return lines + _dtls(offer, local) + _credentials_of(local)


def _taken(offer: Offer, local: Local) -> list[str]:
    media, first, number = offer.audio, local.candidates[0], offer.payload_type
    lines = [f"m=audio {first.port} {media.protocol} {number}", f"c=IN {first.family} {first.host}"]
    if media.mid is not None:
        lines.append(f"a=mid:{media.mid}")
    lines += [
        "a=recvonly",
        "a=rtcp-mux",
        f"a=rtpmap:{number} opus/48000/2",
        f"a=fmtp:{number} minptime=10;useinbandfec=1",
        *_dtls(offer, local),
    ]
    if offer.level_id:
        lines.append(f"a=extmap:{offer.level_id} {AUDIO_LEVEL_URI}")
    if offer.mid_id:
        lines.append(f"a=extmap:{offer.mid_id} {MID_URI}")
    return lines + _ice(local)


def _dtls(offer: Offer, local: Local) -> list[str]:
    return [f"a=fingerprint:sha-256 {local.fingerprint}", f"a=setup:{offer.setup}"]


def _credentials_of(local: Local) -> list[str]:
    return [f"a=ice-ufrag:{local.ufrag}", f"a=ice-pwd:{local.password}"]


def _ice(local: Local) -> list[str]:
    lines = _credentials_of(local)
    lines += [c.line(number) for number, c in enumerate(local.candidates)]
    return [*lines, "a=end-of-candidates"]


def restart_fragment(mid: str | None, payload_type: int, local: Local) -> str:
    """The answer to an ICE restart: our new credentials and candidates (RFC 9725, 4.3.3)."""
    lines = ["a=ice-lite"]
    if mid is not None:
        lines.append(f"a=group:BUNDLE {mid}")
    lines.append(f"m=audio 9 UDP/TLS/RTP/SAVPF {payload_type}")
    if mid is not None:
        lines.append(f"a=mid:{mid}")
    return "\r\n".join(lines + _ice(local)) + "\r\n"
