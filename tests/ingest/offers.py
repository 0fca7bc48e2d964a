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
OBS = (
    HEAD.replace("\r\n", "\n")
    + "a=group:BUNDLE 0 1\na=group:LS 0 1\na=msid-semantic:WMS *\n"
    + "a=setup:actpass\na=ice-ufrag:Obsu\na=ice-pwd:OBSOBSOBSOBSOBSOBSOBSOBS\n"
    + f"a=fingerprint:sha-256 {FINGERPRINT.lower()}\n"
    + "m=audio 44444 UDP/TLS/RTP/SAVPF 111\nc=IN IP4 192.0.2.7\na=mid:0\na=sendonly\n"
    + "a=ssrc:1 cname:obs\na=rtcp-mux\na=rtpmap:111 opus/48000/2\n"
    + "a=fmtp:111 minptime=10;maxaveragebitrate=96000;stereo=1;sprop-stereo=1;useinbandfec=1\n"
    + "m=video 44444 UDP/TLS/RTP/SAVPF 96\nc=IN IP4 192.0.2.7\na=mid:1\na=sendonly\n"
    + "a=rtcp-mux\na=rtpmap:96 H264/90000\n"
)
