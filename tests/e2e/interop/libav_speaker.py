"""FFmpeg's WHIP client (libavformat's muxer) as PyAV carries it: a tone, in stereo, no levels.

In a process of its own: it holds the interpreter while it waits for the network.
Run: python -m tests.e2e.interop.libav_speaker URL FREQUENCY_HZ SECONDS [option=value ...] <<< TOKEN
"""

import sys
import time

import av
import numpy as np

RATE = 48_000
FRAME = 960


def main(url: str, hz: str, seconds: str, *options: str) -> None:
    given = dict(option.split("=", 1) for option in options)
    given["authorization"] = sys.stdin.readline().strip()
    with av.open(url, "w", format="whip", options=given) as out:
        stream = out.add_stream("libopus", rate=RATE, layout="stereo")
        began = time.monotonic()
        for at in range(0, int(float(seconds) * RATE), FRAME):
            frame = av.AudioFrame.from_ndarray(_tone(at, float(hz)), "s16", "stereo")
            frame.sample_rate, frame.pts = RATE, at
            out.mux(stream.encode(frame))
            time.sleep(max(0.0, began + at / RATE - time.monotonic()))


def _tone(at: int, hz: float) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    """Both channels alike, interleaved."""
    wave = np.sin(2 * np.pi * hz * (np.arange(FRAME) + at) / RATE) * 0.3 * 32767
    return np.repeat(wave.astype(np.int16), 2).reshape(1, -1)


if __name__ == "__main__":
    main(*sys.argv[1:])
