"""GStreamer's WebRTC stack (webrtcbin) as a WHIP client: a tone, with video beside it on demand.

A program of its own for the system's Python, whose `gi` no virtual environment has; nothing of
Encore is imported. Run: gstreamer_speaker.py URL FREQUENCY_HZ SECONDS [video] <<< TOKEN
"""

import itertools
import os
import sys
import urllib.request
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

AUDIO = """audiotestsrc is-live=true freq={hz} volume=0.3 ! opusenc ! rtpopuspay pt=97
    ! application/x-rtp,media=audio,encoding-name=OPUS,payload=97 ! speaker."""
VIDEO = """videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=5/1
    ! vp8enc deadline=1 ! rtpvp8pay pt=96
    ! application/x-rtp,media=video,encoding-name=VP8,payload=96 ! speaker."""


def main(url: str, hz: str, seconds: str, *more: str) -> None:
    token = sys.stdin.readline().strip()
    Gst.init(None)
    video = VIDEO if "video" in more else ""
    pipeline = Gst.parse_launch(
        f"webrtcbin name=speaker bundle-policy=max-bundle {AUDIO.format(hz=hz)} {video}"
    )
    speaker = pipeline.get_by_name("speaker")
    # Held to the end: GStreamer 1.22 gives the property without a reference of its own.
    agent = speaker.get_property("ice-agent")
    agent.emit("add-local-ip-address", "127.0.0.1")  # libnice leaves loopback out otherwise
    offers = itertools.count()

    def on_negotiation_needed(_: Any) -> None:
        if next(offers) == 0:  # WHIP has no second one
            offer(speaker, url, token)

    speaker.connect("on-negotiation-needed", on_negotiation_needed)
    loop = GLib.MainLoop()

    def on_state(*_: Any) -> None:
        state = speaker.get_property("connection-state").value_nick
        print(state, flush=True)  # noqa: T201 - whoever started this reads it
        if state == "connected":
            GLib.timeout_add(int(float(seconds) * 1000), loop.quit)
        elif state == "failed":
            loop.quit()

    speaker.connect("notify::connection-state", on_state)
    pipeline.set_state(Gst.State.PLAYING)
    GLib.timeout_add_seconds(60, loop.quit)
    loop.run()
    pipeline.set_state(Gst.State.NULL)
    os._exit(0)  # what GStreamer 1.22 frees twice is nobody's concern any more


def offer(speaker: Any, url: str, token: str) -> None:
    """On webrtcbin's own thread, which must not wait for itself."""

    def on_offer(promise: Any) -> None:
        reply = promise.get_reply()  # owns the description
        exchange(speaker, reply.get_value("offer"), url, token)

    speaker.emit("create-offer", None, Gst.Promise.new_with_change_func(on_offer))


def exchange(speaker: Any, description: Any, url: str, token: str) -> None:
    speaker.emit("set-local-description", description, Gst.Promise.new())
    answer = post(url, token, description.sdp.as_text())
    _, sdp = GstSdp.SDPMessage.new_from_text(answer)
    description = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, sdp)
    speaker.emit("set-remote-description", description, Gst.Promise.new())


def post(url: str, token: str, body: str) -> str:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
    request = urllib.request.Request(url, body.encode(), headers)  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
        return str(response.read().decode())


if __name__ == "__main__":
    main(*sys.argv[1:])
