import pytest

from bench.webrtc_client import ConnectFailed, Identity, Remote, WebRtcClient
from ingest import sdp

ANSWER = """v=0
a=ice-ufrag:abcd
a=ice-pwd:0123456789012345678901
a=setup:passive
a=candidate:1 1 udp 2130706431 127.0.0.1 40000 typ host
a=candidate:2 1 udp 2130706430 fd00::2 40000 typ host
"""


def test_reads_where_the_server_is_and_who_begins() -> None:
    assert Remote.read(ANSWER) == Remote(
        ("127.0.0.1", 40_000), "abcd", "0123456789012345678901", calls=False
    )
    assert Remote.read(ANSWER.replace("passive", "active")).calls


def test_an_answer_without_a_candidate_is_none() -> None:
    with pytest.raises(ConnectFailed):
        Remote.read(ANSWER.replace("typ host", ""))


def test_offers_what_a_whip_server_takes() -> None:
    client = WebRtcClient(Identity())
    try:
        offer = sdp.parse_offer(client.offer())
    finally:
        client.close()

    assert (offer.payload_type, offer.level_id) == (111, 1)
