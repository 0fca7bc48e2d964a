"""SDP offers of WHIP clients (RFC 8866, RFC 8829, RFC 9725, 4.4). Pure.

One audio section with Opus is taken and received; every other section (video, data, a second
audio) is answered with port 0. A client that offers to receive too is answered `recvonly`.
"""

import re
from dataclasses import dataclass
from typing import Final

from core.errors import Problem
from ingest.rtp import AUDIO_LEVEL_URI, MID_URI
from ingest.webrtc import FINGERPRINT_ALGORITHMS

MAX_SDP_BYTES: Final = 65_536
MAX_SECTIONS: Final = 32
MAX_LINES: Final = 2000
"""A browser's offer of audio and video with all its candidates has about 300."""
MAX_FINGERPRINTS: Final = 16

_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`{|}~]{1,64}", re.ASCII)
_MEDIA = re.compile(
    r"([a-z]{1,32}) (\d{1,5})(?:/\d{1,5})? ([A-Za-z0-9/\-]{1,64}) (.{1,4096})", re.ASCII
)
_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}", re.ASCII)
_PASSWORD = re.compile(r"[A-Za-z0-9+/]{22,256}", re.ASCII)
_FINGERPRINT = re.compile(r"([A-Za-z0-9\-]{1,32}) +([0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})*)")
_EXTMAP = re.compile(r"(\d{1,5})(?:/[a-z]+)? (\S+)", re.ASCII)
RTP_PROTOCOLS = ("UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF")


class OfferInvalid(Problem):
    status = 400
    code = "sdp_invalid"
    title = "The SDP offer cannot be read"


class OfferTooLarge(Problem):
    status = 413
    code = "sdp_too_large"
    title = "The SDP offer is too large"


class OfferNotAcceptable(Problem):
    """Well-formed, but nothing in it can be received here (RFC 9725, 4.4.3)."""

    status = 406
    code = "sdp_not_acceptable"
    title = "The SDP offer holds nothing that can be recorded"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    algorithm: str
    value: str
    """Upper-case hex with colons."""


@dataclass(frozen=True, slots=True)
class Media:
    """One m= section, as far as the answer has to name it."""

    kind: str
    protocol: str
    formats: tuple[str, ...]
    mid: str | None


@dataclass(frozen=True, slots=True)
class Offer:
    """What was taken of an offer. `level_id` and `mid_id` are RFC 8285 ids, 0 where not offered."""

    media: tuple[Media, ...]
    taken: int
    """Index in `media` of the audio section that is received."""

    bundled: bool
    payload_type: int
    level_id: int
    mid_id: int
    ufrag: str
    password: str
    fingerprints: tuple[Fingerprint, ...]
    setup: str
    """Our part in DTLS: `passive` unless the client offered that, as FFmpeg does."""

    @property
    def audio(self) -> Media:
        return self.media[self.taken]


class _Section:
    """The attributes of the session or of one m= section, in order."""

    def __init__(self, media: Media | None = None) -> None:
        self.media = media
        self.attributes: list[tuple[str, str]] = []

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.attributes if key == name]

    def first(self, name: str) -> str | None:
        return next((value for key, value in self.attributes if key == name), None)

    def has(self, name: str) -> bool:
        return any(key == name for key, _ in self.attributes)


def check_size(size: int) -> None:
    """Raises OfferTooLarge."""
    if size > MAX_SDP_BYTES:
        raise OfferTooLarge(f"An SDP body may have {MAX_SDP_BYTES} bytes.")


def decode(body: bytes) -> str:
    """The text of a body. Raises OfferInvalid."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise OfferInvalid("The body is not UTF-8.") from None


def _lines(text: str) -> list[tuple[str, str]]:
    check_size(len(text))
    lines: list[tuple[str, str]] = []
    for number, raw in enumerate(text.split("\n"), 1):
        if number > MAX_LINES:
            raise OfferInvalid(f"More than {MAX_LINES} lines.")
        line = raw.removesuffix("\r")
        if not line.strip():
            continue
        if len(line) < 2 or line[1] != "=" or not line[0].isascii() or not line[0].islower():
            raise OfferInvalid(f"Line {number} is not of the form x=value.")
        lines.append((line[0], line[2:].strip()))
    return lines


def _media(value: str) -> Media:
    match = _MEDIA.fullmatch(value)
    if match is None:
        raise OfferInvalid("An m= line is not of the form: kind port protocol formats.")
    formats = tuple(match[4].split())
    if not formats or not all(_TOKEN.fullmatch(f) for f in formats):
        raise OfferInvalid("An m= line names a format that is no token.")
    return Media(match[1], match[3], formats, None)


def _sections(lines: list[tuple[str, str]]) -> tuple[_Section, list[_Section]]:
    session = _Section()
    sections: list[_Section] = []
    for kind, value in lines:
        if kind == "m":
            if len(sections) == MAX_SECTIONS:
                raise OfferInvalid(f"More than {MAX_SECTIONS} m= sections.")
            sections.append(_Section(_media(value)))
        elif kind == "a":
            name, _, rest = value.partition(":")
            (sections[-1] if sections else session).attributes.append((name.strip(), rest.strip()))
    return session, sections


def _with_mid(section: _Section) -> Media:
    media = section.media
    if media is None:
        raise OfferInvalid("An m= section is missing.")
    mid = section.first("mid")
    if mid is not None and not _TOKEN.fullmatch(mid):
        raise OfferInvalid("a=mid is no token.")
    return Media(media.kind, media.protocol, media.formats, mid)


def _direction(session: _Section, section: _Section) -> str:
    for level in (section, session):
        for name, _ in level.attributes:
            if name in _DIRECTIONS:
                return name
    return "sendrecv"


def _opus(section: _Section, media: Media) -> int | None:
    """The first Opus payload type in the client's order of preference (RFC 7587, 7)."""
    types = {
        number: encoding.strip().lower()
        for number, _, encoding in (v.partition(" ") for v in section.all("rtpmap"))
    }
    for format_ in media.formats:
        if types.get(format_) == "opus/48000/2" and format_.isdecimal() and int(format_) < 128:
            return int(format_)
    return None


def _extension(section: _Section, session: _Section, uri: str) -> int:
    for value in section.all("extmap") + session.all("extmap"):
        match = _EXTMAP.fullmatch(value)
        if match is not None and match[2] == uri and 1 <= int(match[1]) <= 255:
            return int(match[1])
    return 0


def _fingerprints(session: _Section, section: _Section) -> tuple[Fingerprint, ...]:
    """Those of the section, else of the session; algorithms we cannot check are left out."""
    found: list[Fingerprint] = []
    values = section.all("fingerprint") or session.all("fingerprint")
    if len(values) > MAX_FINGERPRINTS:
        raise OfferInvalid(f"More than {MAX_FINGERPRINTS} fingerprints.")
    for value in values:
        match = _FINGERPRINT.fullmatch(value)
        if match is None:
            raise OfferInvalid("a=fingerprint is not of the form: algorithm hex:hex:...")
        if match[1].lower() in FINGERPRINT_ALGORITHMS:
            found.append(Fingerprint(match[1].lower(), match[2].upper()))
    if not found:
        names = ", ".join(FINGERPRINT_ALGORITHMS)
        raise OfferInvalid(f"No a=fingerprint with one of these algorithms: {names}.")
    return tuple(found)


def _credentials(session: _Section, section: _Section) -> tuple[str, str]:
    ufrag = section.first("ice-ufrag") or session.first("ice-ufrag") or ""
    password = section.first("ice-pwd") or session.first("ice-pwd") or ""
    if not _UFRAG.fullmatch(ufrag) or not _PASSWORD.fullmatch(password):
        raise OfferInvalid("a=ice-ufrag (4 to 256) or a=ice-pwd (22 to 256 ice-chars) is missing.")
    return ufrag, password


def _setup(session: _Section, section: _Section) -> str:
    """Our answer to a=setup (RFC 8842, 5.3): the client begins the handshake if it can."""
    setup = section.first("setup") or session.first("setup")
    if setup not in ("actpass", "active", "passive"):
        raise OfferInvalid("a=setup must be actpass, active or passive.")
    return "active" if setup == "passive" else "passive"


def _take(session: _Section, sections: list[_Section]) -> tuple[int, int]:
    """The index and the Opus payload type of the audio section to receive."""
    why = "There is no audio section."
    for index, section in enumerate(sections):
        media = _with_mid(section)
        if media.kind != "audio":
            continue
        if _direction(session, section) not in ("sendrecv", "sendonly"):
            why = "The audio section does not send: use sendonly or sendrecv."
            continue
        payload_type = _opus(section, media)
        if payload_type is None:
            why = "The audio section offers no opus/48000/2."
        elif media.protocol not in RTP_PROTOCOLS:
            why = "The audio section is not DTLS-SRTP (UDP/TLS/RTP/SAVPF)."
        else:
            return index, payload_type
    raise OfferNotAcceptable(why)


def parse_offer(text: str) -> Offer:
    """Reads an offer and chooses its audio section.

    Raises OfferInvalid for what is malformed or lacks ICE, DTLS or rtcp-mux, and
    OfferNotAcceptable when no section sends Opus.
    """
    lines = _lines(text)
    if not lines or lines[0] != ("v", "0"):
        raise OfferInvalid("An SDP offer begins with v=0.")
    session, sections = _sections(lines)
    taken, payload_type = _take(session, sections)
    section = sections[taken]
    if not section.has("rtcp-mux"):
        raise OfferInvalid("a=rtcp-mux is required (RFC 9725, 4.4.1).")
    ufrag, password = _credentials(session, section)
    media = tuple(_with_mid(s) for s in sections)
    groups = [g.split() for g in session.all("group")]
    return Offer(
        media=media,
        taken=taken,
        bundled=any(g[:1] == ["BUNDLE"] and media[taken].mid in g[1:] for g in groups),
        payload_type=payload_type,
        level_id=_extension(section, session, AUDIO_LEVEL_URI),
        mid_id=_extension(section, session, MID_URI),
        ufrag=ufrag,
        password=password,
        fingerprints=_fingerprints(session, section),
        setup=_setup(session, section),
    )


@dataclass(frozen=True, slots=True)
class Fragment:
    """What a PATCH carries (RFC 8840): ICE credentials, where given; candidates are not needed."""

    ufrag: str | None
    password: str | None


def parse_fragment(text: str) -> Fragment:
    """Raises OfferInvalid, OfferTooLarge."""
    session, sections = _sections(_lines(text))
    section = sections[0] if sections else session
    ufrag = section.first("ice-ufrag") or session.first("ice-ufrag")
    password = section.first("ice-pwd") or session.first("ice-pwd")
    if ufrag is not None and not _UFRAG.fullmatch(ufrag):
        raise OfferInvalid("a=ice-ufrag has 4 to 256 ice-chars.")
    if password is not None and not _PASSWORD.fullmatch(password):
        raise OfferInvalid("a=ice-pwd has 22 to 256 ice-chars.")
    return Fragment(ufrag, password)
