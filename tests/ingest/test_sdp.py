"""Offers of real clients, offers that lack something, and offers that mean harm."""

import asyncio
import contextlib

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.sdp import SessionDescription
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Problem
from ingest.sdp import (
    MAX_SDP_BYTES,
    OfferInvalid,
    OfferNotAcceptable,
    OfferTooLarge,
    check_size,
    decode,
    parse_fragment,
    parse_offer,
)
from ingest.sdp_answer import Candidate, Local, answer, restart_fragment
from tests.ingest.offers import CHROME, DTLS, FINGERPRINT, ICE, OBS

LOCAL = Local("ufrag1", "password0123456789abcd", FINGERPRINT, (Candidate("127.0.0.1", 8003),))


def answered(offer: str) -> SessionDescription:
    """Our answer as aiortc reads it, which raises on malformed lines."""
    return SessionDescription.parse(answer(parse_offer(offer), LOCAL, session_id=7))


def test_a_browser_is_answered_recvonly() -> None:
    offer = parse_offer(CHROME)
    assert (offer.payload_type, offer.level_id, offer.mid_id) == (111, 14, 4)
    assert (offer.ufrag, offer.bundled) == ("Wqx3", True)
    (audio,) = answered(CHROME).media
    assert audio.direction == "recvonly"
    assert audio.rtcp_mux
    assert audio.rtp.muxId == "0"
    assert [c.mimeType for c in audio.rtp.codecs] == ["audio/opus"]
    assert {h.id: h.uri.rsplit(":", 1)[1] for h in audio.rtp.headerExtensions} == {
        14: "ssrc-audio-level",
        4: "mid",
    }
    assert audio.ice is not None
    assert audio.ice.iceLite
    assert audio.ice.usernameFragment == "ufrag1"
    assert audio.dtls is not None
    assert audio.dtls.role == "server"
    assert [(c.ip, c.port) for c in audio.ice_candidates] == [("127.0.0.1", 8003)]
    assert audio.ice_candidates_complete


def test_obs_video_is_refused_with_port_0_and_stereo_is_taken() -> None:
    offer = parse_offer(OBS)
    assert (offer.level_id, offer.mid_id) == (0, 0)
    assert offer.fingerprints[0].value == FINGERPRINT
    audio, video = answered(OBS).media
    assert (audio.port, audio.direction) == (8003, "recvonly")
    assert (video.kind, video.port, video.rtp.muxId) == ("video", 0, "1")
    assert "a=group:BUNDLE 0\r\n" in answer(offer, LOCAL, session_id=1)


def test_sections_keep_the_offers_order() -> None:
    video_first = CHROME.replace(
        "m=audio", "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:v\r\na=sendonly\r\nm=audio", 1
    )
    data_last = video_first + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:d\r\n"
    media = parse_offer(data_last).media
    assert [m.kind for m in media] == ["video", "audio", "application"]
    text = answer(parse_offer(data_last), LOCAL, session_id=1)
    assert [line for line in text.splitlines() if line.startswith("m=")] == [
        "m=video 0 UDP/TLS/RTP/SAVPF 96",
        "m=audio 8003 UDP/TLS/RTP/SAVPF 111",
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
    ]


def test_the_first_audio_that_sends_opus_is_taken() -> None:
    second = CHROME.split("m=audio", 1)[1].replace("a=mid:0", "a=mid:9")
    offer = parse_offer(CHROME.replace("a=sendrecv", "a=recvonly") + "m=audio" + second)
    assert (offer.taken, offer.audio.mid) == (1, "9")


def test_several_fingerprints_are_kept_and_unknown_ones_left_out() -> None:
    more = f"a=fingerprint:sha-1 AA:BB\r\na=fingerprint:SHA-512 {FINGERPRINT}\r\n"
    offer = parse_offer(CHROME.replace(DTLS, more + DTLS))
    assert [f.algorithm for f in offer.fingerprints] == ["sha-512", "sha-256"]


async def test_an_aiortc_client_takes_our_answer() -> None:
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.addTransceiver("audio", direction="sendrecv")
    offer = parse_offer((await pc.createOffer()).sdp + ICE + DTLS)
    assert offer.level_id > 0
    assert offer.payload_type >= 96
    await asyncio.wait_for(pc.close(), 5)


@pytest.mark.parametrize("direction", ["recvonly", "inactive"])
def test_who_sends_nothing_is_not_acceptable(direction: str) -> None:
    with pytest.raises(OfferNotAcceptable, match="does not send"):
        parse_offer(CHROME.replace("a=sendrecv", f"a={direction}"))


def test_direction_of_the_session_counts_and_sendrecv_is_the_default() -> None:
    silent = CHROME.replace("a=sendrecv\r\n", "")
    assert parse_offer(silent).payload_type == 111
    with pytest.raises(OfferNotAcceptable):
        parse_offer(silent.replace("t=0 0\r\n", "t=0 0\r\na=inactive\r\n"))


@pytest.mark.parametrize(
    ("changed", "to", "why"),
    [
        ("opus/48000/2", "opus/16000/2", "no opus"),
        ("m=audio", "m=video", "no audio section"),
        ("UDP/TLS/RTP/SAVPF", "RTP/AVP", "not DTLS-SRTP"),
    ],
)
def test_not_acceptable(changed: str, to: str, why: str) -> None:
    with pytest.raises(OfferNotAcceptable, match=why):
        parse_offer(CHROME.replace(changed, to))


@pytest.mark.parametrize(
    ("changed", "to", "why"),
    [
        ("v=0", "v=1", "v=0"),
        ("a=rtcp-mux\r\n", "", "rtcp-mux"),
        ("a=setup:actpass", "a=setup:holdconn", "a=setup"),
        ("a=setup:actpass", "", "a=setup"),
        ("a=ice-ufrag:Wqx3", "a=ice-ufrag:W q", "ice-ufrag"),
        ("a=ice-pwd:aaaa", "a=ice-pwx:aaaa", "ice-pwd"),
        ("sha-256", "sha-1", "fingerprint"),
        (FINGERPRINT, "zz", "fingerprint"),
        ("a=mid:0", "a=mid:0 1", "mid"),
        ("m=audio 9", "m=audio nine", "m= line"),
        ("63 9 0", "63 (9) 0", "token"),
        ("s=-", "garbage", "x=value"),
    ],
)
def test_malformed(changed: str, to: str, why: str) -> None:
    with pytest.raises(OfferInvalid, match=why):
        parse_offer(CHROME.replace(changed, to))


def test_too_large_is_said_so() -> None:
    with pytest.raises(OfferTooLarge, match="65536"):
        parse_offer(CHROME + "a=x\r\n" * 20_000)
    with pytest.raises(OfferTooLarge):
        check_size(MAX_SDP_BYTES + 1)
    check_size(MAX_SDP_BYTES)


def test_too_many_sections_are_refused() -> None:
    with pytest.raises(OfferInvalid, match="32"):
        parse_offer(CHROME + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" * 32)


def test_only_utf8() -> None:
    with pytest.raises(OfferInvalid, match="UTF-8"):
        decode(b"\xff\xfe")


@given(st.text(max_size=300))
def test_any_text_parses_or_is_a_problem(text: str) -> None:
    for parse in (parse_offer, parse_fragment):
        with contextlib.suppress(Problem):
            parse(text)


@given(data=st.data())
def test_any_damaged_offer_gives_a_sound_answer_or_a_problem(data: st.DataObject) -> None:
    lines = CHROME.split("\r\n")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        damage = data.draw(st.text(max_size=20))
        cut = data.draw(st.integers(0, len(lines[at])))
        lines[at] = lines[at][:cut] + damage
    try:
        offer = parse_offer("\r\n".join(lines))
    except Problem:
        return
    text = answer(offer, LOCAL, session_id=1)
    assert all(line[1:2] == "=" for line in text.split("\r\n") if line)
    assert text.count("\r\nm=") == len(offer.media)


def test_fragments_tell_credentials() -> None:
    assert parse_fragment("a=end-of-candidates\r\n").ufrag is None
    fragment = parse_fragment("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n" + ICE)
    assert (fragment.ufrag, fragment.password) == ("Wqx3", "aaaabbbbccccddddeeeeffff")
    with pytest.raises(OfferInvalid):
        parse_fragment("a=ice-ufrag:x\r\n")
    with pytest.raises(OfferInvalid):
        parse_fragment("a=ice-pwd:short\r\n")


def test_a_restart_answers_with_new_credentials() -> None:
    text = restart_fragment("0", 111, LOCAL)
    assert parse_fragment(text).ufrag == "ufrag1"
    assert "a=mid:0\r\n" in text
    assert "a=candidate:1 1 udp 2130706431 127.0.0.1 8003 typ host\r\n" in text


def test_candidates_fall_in_priority_and_name_their_family() -> None:
    six = Candidate("2001:db8::1", 1)
    assert six.family == "IP6"
    assert int(six.line(1).split()[3]) < int(six.line(0).split()[3])


@pytest.mark.parametrize(
    ("offered", "answered"),
    [("actpass", "passive"), ("active", "passive"), ("passive", "active")],
)
def test_the_client_begins_the_handshake_if_it_can(offered: str, answered: str) -> None:
    offer = parse_offer(CHROME.replace("setup:actpass", f"setup:{offered}"))
    assert f"a=setup:{answered}\r\n" in answer(offer, LOCAL, session_id=1)
