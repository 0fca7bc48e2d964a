"""SDP offers as clients send them, shortened where nothing is read."""

FINGERPRINT = ":".join(["AB"] * 32)
ICE = "a=ice-ufrag:Wqx3\r\na=ice-pwd:aaaabbbbccccddddeeeeffff\r\n"
DTLS = f"a=fingerprint:sha-256 {FINGERPRINT}\r\na=setup:actpass\r\n"
HEAD = "v=0\r\no=- 46117 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
MID = "urn:ietf:params:rtp-hdrext:sdes:mid"

CHROME = (
    HEAD
    + "a=group:BUNDLE 0\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS\r\n"
    + "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\nc=IN IP4 0.0.0.0\r\n"
    + "a=rtcp:9 IN IP4 0.0.0.0\r\n"
    + ICE
    + "a=ice-options:trickle\r\n"
    + DTLS
    + f"a=mid:0\r\na=extmap:14 {LEVEL}\r\na=extmap:4 {MID}\r\n"
    + "a=sendrecv\r\na=msid:- 0a\r\na=rtcp-mux\r\na=rtcp-rsize\r\n"
    + "a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\n"
    + "a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\n"
    + "a=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=ssrc:123 cname:x\r\n"
)
_OBS_STREAM = "a=ssrc:{0} cname:kQ3\r\na=ssrc:{0} msid:Zx8 Zx8-{1}\r\na=msid:Zx8 Zx8-{1}\r\n"
_OBS_SECTION = "c=IN IP4 192.0.2.7\r\na=mid:{0}\r\na=sendonly\r\n"
_OBS_END = "a=setup:actpass\r\na=ice-ufrag:Obsu\r\na=ice-pwd:OBSOBSOBSOBSOBSOBSOBSOBS\r\n"
OBS = (
    HEAD.replace("o=- 46117 2", "o=rtc 2890844526 0")
    + "a=group:BUNDLE 0 1\r\na=group:LS 0 1\r\na=msid-semantic:WMS *\r\n"
    + f"a=ice-options:ice2,trickle\r\na=fingerprint:sha-256 {FINGERPRINT}\r\n"
    + "m=audio 44444 UDP/TLS/RTP/SAVPF 111\r\n"
    + _OBS_SECTION.format(0)
    + _OBS_STREAM.format(41, "audio")
    + "a=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n"
    + "a=fmtp:111 minptime=10;maxaveragebitrate=96000;stereo=1;sprop-stereo=1;useinbandfec=1\r\n"
    + _OBS_END
    + "a=candidate:1 1 UDP 2114977791 192.0.2.7 44444 typ host\r\na=end-of-candidates\r\n"
    + "m=video 44444 UDP/TLS/RTP/SAVPF 96\r\n"
    + _OBS_SECTION.format(1)
    + _OBS_STREAM.format(42, "video")
    + "a=rtcp-mux\r\na=rtpmap:96 H264/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\n"
    + "a=rtcp-fb:96 goog-remb\r\n"
    + "a=fmtp:96 profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1\r\n"
    + _OBS_END
)
"""As obs-webrtc makes it by libdatachannel: DTLS and ICE at the media, without audio levels."""
