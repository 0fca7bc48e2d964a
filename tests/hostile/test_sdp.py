"""SDP: whatever an offer says, the answer is well-formed or a problem with a stable code, in time
that grows with its length; megabytes are refused before they are held.
"""

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import Problem
from ingest.sdp import (
    MAX_FINGERPRINTS,
    MAX_LINES,
    MAX_SDP_BYTES,
    MAX_SECTIONS,
    Offer,
    OfferInvalid,
    OfferTooLarge,
    decode,
    parse_fragment,
    parse_offer,
)
from ingest.sdp_answer import Candidate, Local, answer
from tests.hostile.arena import Arena, Voice, token
from tests.hostile.shapes import SHAPES, aiortc_offer
from tests.ingest.offers import CHROME, FINGERPRINT
from tests.ingest.test_live_room import ADA

LOCAL = Local("ufrag1", "password0123456789abcd", FINGERPRINT, (Candidate("192.0.2.9", 8003),))
CODES = {"sdp_invalid", "sdp_too_large", "sdp_not_acceptable"}
HUGE = "9" * 400
HOSTILE = st.sampled_from(
    [
        "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nm=video 9 x 1",
        "a=mid:0\r\na=mid:1",
        "a=rtpmap:" + HUGE + " opus/48000/2",
        f"m=audio {HUGE} UDP/TLS/RTP/SAVPF {HUGE}",
        "a=extmap:" + HUGE + " urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        "a=extmap:-1 urn:ietf:params:rtp-hdrext:sdes:mid",
        "a=fingerprint:sha-256 " + "AB:" * 2000,
        "a=ice-ufrag:" + "a" * 3000,
        "a=ice-pwd:\x00\x00\x00\x00",
        "a=candidate:" + "1 " * 500,
        "a=\u2028v=0\u0085m=audio",
        "\x00",
        "a=" + "\ud7ff\U0001f600" * 50,
        "v=0",
        "a=group:BUNDLE " + "0 " * 900,
        "a=sendonly\r\na=recvonly\r\na=inactive",
        "=",
        "",
    ]
)


@st.composite
def damaged(draw: st.DrawFn, shapes: dict[str, str] = SHAPES) -> str:
    """A real client's offer with lines gone, doubled, swapped, cut, or hostile ones put in."""
    lines = draw(st.sampled_from(sorted(shapes.values()))).split("\n")
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(lines) - 1))
        kind = draw(st.integers(0, 5))
        if kind == 0 and len(lines) > 1:
            del lines[at]
        elif kind == 1:
            lines[at:at] = lines[at : at + draw(st.integers(1, 9))]
        elif kind == 2:
            lines[at], lines[0] = lines[0], lines[at]
        elif kind == 3:
            cut = draw(st.integers(0, len(lines[at])))
            lines[at] = lines[at][:cut] + draw(st.text(max_size=12))
        elif kind == 4:
            lines.insert(at, draw(HOSTILE))
        else:
            lines[at] = lines[at] * draw(st.integers(2, 400))
    return draw(st.sampled_from(["\n", "\r\n", "\r"])).join(lines)


def parsed_or_code(offer: str) -> Offer | str:
    try:
        return parse_offer(offer)
    except Problem as problem:
        return problem.code


def check_answer(offer: str) -> None:
    """The answer names each section once, in lines of ASCII that no offer can add to."""
    parsed = parsed_or_code(offer)
    if isinstance(parsed, str):
        assert parsed in CODES
        return
    text = answer(parsed, LOCAL, session_id=1)
    lines = text.split("\r\n")
    assert text.isascii()
    assert "\0" not in text
    assert all(line[1:2] == "=" for line in lines if line)
    assert sum(line.startswith("m=") for line in lines) == len(parsed.media) <= MAX_SECTIONS
    shown = {line for line in lines if line.startswith("a=fingerprint:")}
    assert shown == {f"a=fingerprint:sha-256 {FINGERPRINT}"}, "ours, nothing of the offer's"
    assert lines.count("a=recvonly") == 1
    assert 0 <= parsed.payload_type < 128


@pytest.mark.parametrize("client", sorted(SHAPES))
def test_the_shapes_are_taken_as_they_are(client: str) -> None:
    assert parse_offer(SHAPES[client]).payload_type in (96, 111)


async def test_aiortcs_own_offer_is_taken() -> None:
    check_answer(await aiortc_offer())


@settings(deadline=None, max_examples=150)
@given(damaged())
def test_damaged_offers_are_answered_soundly_or_refused(offer: str) -> None:
    check_answer(offer)


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_text_or_refused(body: bytes) -> None:
    try:
        text = decode(body)
    except OfferInvalid:
        return
    for parse in (parse_offer, parse_fragment):
        with contextlib.suppress(Problem):
            parse(text)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" * (MAX_SECTIONS + 1), "sections"),
        ("a=x\r\n" * (MAX_LINES + 1), "lines"),
        ("a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n" * 1400, "sdp_ok"),
        (f"a=fingerprint:sha-256 {FINGERPRINT}\r\n" * MAX_FINGERPRINTS, "fingerprints"),
        ("a=" + "x" * MAX_SDP_BYTES, "65536"),
    ],
)
def test_thousands_of_anything_are_refused_or_left_aside(more: str, why: str) -> None:
    if why == "sdp_ok":
        assert parse_offer(CHROME + more).payload_type == 111
        return
    with pytest.raises((OfferInvalid, OfferTooLarge), match=why):
        parse_offer(CHROME + more)


def seconds(offer: str) -> float:
    """Of parsing and answering it once, the best of many."""

    def once() -> float:
        began = time.perf_counter()
        check_answer(offer)
        return time.perf_counter() - began

    return min(once() for _ in range(15))


@pytest.mark.parametrize(
    "body",
    [
        "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n" * 1400,
        "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n" * 31 + "a=x\r\n" * 1800,
        "a=rtpmap:" + "1" * 60_000,
        "m=audio 9 UDP/TLS/RTP/SAVPF " + "0 " * 2000,
        "a=extmap:1 " + "a:" * 25_000,
        "a=fingerprint:sha-256 " + "AB:" * 15_000 + "Z",
        "a=ice-ufrag:" + "a" * 60_000,
        " " * 60_000,
    ],
)
def test_time_grows_with_length_only(body: str) -> None:
    """No pattern and no search takes the square of what it is given."""
    hostile = CHROME.replace("t=0 0\r\n", "t=0 0\r\na=x\r\n") + body
    assert len(hostile) <= MAX_SDP_BYTES
    a_byte = seconds(CHROME) / len(CHROME)
    assert seconds(hostile) / len(hostile) < 10 * a_byte


async def test_megabytes_are_refused_before_they_are_held(arena: Arena) -> None:
    answered = await arena.post("v=0\r\n" + "a=x\r\n" * 2_000_000, bearer=token(ADA))
    assert (answered.status_code, answered.json()["code"]) == (413, "sdp_too_large")


async def test_a_fragment_with_hostile_lines_is_refused(arena: Arena, eve: Voice) -> None:
    headers = {
        "Authorization": f"Bearer {token(eve.participant_id)}",
        "Content-Type": "application/trickle-ice-sdpfrag",
        "If-Match": "*",
    }
    for body in ("\0", "a=ice-ufrag:x", "a=x\r\n" * 3000, "a=ice-pwd:" + "x" * 300, "\u2028"):
        answered = await arena.http.patch(eve.url, content=body, headers=headers)
        assert answered.json()["code"] in CODES | {"sdp_fragment_unusable"}
    assert eve.peer.restarting is None
