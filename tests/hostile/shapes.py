"""Offers in the shapes of real clients, besides those in tests/ingest/offers.py."""

from aiortc import RTCConfiguration, RTCPeerConnection

from tests.ingest.offers import CHROME, DTLS, HEAD, ICE, LEVEL, OBS

CANDIDATES = "".join(
    f"a=candidate:{n} 1 udp {2122260223 - n} 192.0.2.{n} {50000 + n} typ host generation 0\r\n"
    for n in range(1, 12)
)
GSTREAMER = (
    HEAD
    + "a=ice-options:trickle\r\na=group:BUNDLE audio0\r\n"
    + "m=audio 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=setup:actpass\r\n"
    + ICE
    + "a=rtcp-mux\r\na=rtcp-rsize\r\na=sendonly\r\na=rtpmap:96 OPUS/48000/2\r\n"
    + "a=rtcp-fb:96 nack\r\na=rtcp-fb:96 transport-cc\r\n"
    + f"a=fmtp:96 sprop-maxcapturerate=48000;sprop-stereo=0\r\na=extmap:1 {LEVEL}\r\n"
    + "a=ssrc:3723415141 msid:user7 webrtctransceiver0\r\na=ssrc:3723415141 cname:user7\r\n"
    + "a=mid:audio0\r\n"
    + DTLS.partition("\r\n")[0]
    + "\r\n"
    + CANDIDATES
)
FFMPEG = (
    "v=0\r\no=FFmpeg 4489045141692799359 2 IN IP4 127.0.0.1\r\ns=FFmpegPublishSession\r\n"
    + "t=0 0\r\na=group:BUNDLE 0 1\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS\r\n"
    + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\n"
    + ICE
    + DTLS.replace("actpass", "passive")
    + "a=mid:0\r\na=sendonly\r\na=msid:FFmpeg audio\r\na=rtcp-mux\r\n"
    + "a=rtpmap:111 opus/48000/2\r\na=ssrc:3001 cname:FFmpeg\r\na=ssrc:3001 msid:FFmpeg audio\r\n"
    + "m=video 9 UDP/TLS/RTP/SAVPF 106\r\nc=IN IP4 0.0.0.0\r\n"
    + ICE
    + DTLS.replace("actpass", "passive")
    + "a=mid:1\r\na=sendonly\r\na=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:106 H264/90000\r\n"
    + "a=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n"
)
SHAPES = {"chromium": CHROME, "obs": OBS, "gstreamer": GSTREAMER, "ffmpeg": FFMPEG}


async def aiortc_offer() -> str:
    """As aiortc makes it now, with the addresses of this machine left out."""
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.addTransceiver("audio", direction="sendonly")
    made = (await pc.createOffer()).sdp
    await pc.close()
    return str(made) + ICE + DTLS
