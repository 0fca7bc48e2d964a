"""The mix of the pipeline beside one made offline: the same decoded sources at their true places.

The offline mix is the sum of what a decoder makes of each speaker's packets, without gates,
delays or restarts. How loud each speaker is in the mix is not compared but found by least squares:
each has a gain that changes in the first 20 ms of every tenth of a second. What is then left of
ours is held against what AAC alone leaves of the offline mix.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from ingest.aac import FRAME, AacEncoder, audio_specific_config
from ingest.decoder import make_decoder
from ingest.folders import Folders
from ingest.loudness import HOP
from ingest.opus import LOOKAHEAD, RATE
from ingest.packager import Packager
from tests.ingest.journals import JournalMaker, Pcm, Voice, opus, participant
from tests.ingest.listening import decode, file_of
from tests.ingest.speech import SPEAKERS, noise, read, say

DELAY = 0.0199
"""Just before a drain, which is when packets arrive for the journal."""

WINDOW = HOP
RAMP = np.minimum(np.arange(WINDOW) / 960, 1)

SHARED = Path(__file__).parents[3] / "shared" / "speech" / "room_en"
"""Recorded speech beside the repository; where there is none, the demo's voices speak."""

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Compared:
    """RMS of what is left, as a share of the offline mix; segmental ratios in dB."""

    ours: float
    aac: float
    ours_segmental_db: float
    aac_segmental_db: float
    track: float
    """The worst track's decode against its source's."""

    misplaced_ms: float
    """How far the speaker who is placed worst lies from their true place."""

    @property
    def ratio(self) -> float:
        return self.ours / self.aac


def room(seconds: float) -> list[Pcm]:
    """Speakers who talk in turn and at once, in rooms that are not silent."""
    recorded = sorted(SHARED.glob("*.flac"))
    if recorded:
        return [_busiest(read(path, seconds=4 * seconds), seconds) for path in recorded]
    talk = [say(speaker, seconds) for speaker in SPEAKERS]
    for number, signal in enumerate(talk):
        at = np.arange(signal.size) / RATE
        signal[(at + 2.5 * number) % 7.5 > 3.5] = 0
        signal += noise(seconds, -72, seed=number)
    return talk


def _busiest(signal: Pcm, seconds: float) -> Pcm:
    """The stretch of it in which most is said."""
    size = round(seconds * RATE)
    spoken = np.concatenate(([0], np.cumsum(np.abs(signal) > 0.01)))
    start = int(np.argmax(spoken[size:] - spoken[:-size]))
    return signal[start : start + size]


def compared(folder: Path, sources: Sequence[Pcm]) -> Compared:
    """Packages a room with one speaker a source, and makes its mix offline."""
    maker = JournalMaker()
    maker.record(0, on=True)
    for number, source in enumerate(sources):
        maker.speak(Voice(participant(number), source, delay=DELAY, seed=number))
    seconds = sources[0].size / RATE
    maker.end(seconds)
    folders = Folders(folder)
    maker.write(folders)
    packager = Packager(folders, maker.recording_id)
    while packager.step(0):
        pass
    packager.close()
    decoded = [_decoded(source) for source in sources]
    mix = decode(folders, maker.recording_id, "mix").signal[: sources[0].size]
    tracks = [
        _played(file_of(folders, maker.recording_id, f"track-{participant(number)}"))
        for number in range(len(sources))
    ]
    return _compare(decoded, mix, tracks)


def _decoded(source: Pcm) -> Pcm:
    """What a decoder makes of the packets, where the speaker's words were heard."""
    decoder = make_decoder()
    pcm = np.concatenate([decoder.decode(payload).copy() for payload in opus(source)])
    return _shifted(pcm, round(DELAY * RATE) - LOOKAHEAD, source.size)


def _played(track: bytes) -> Pcm:
    """A track's packets at their time stamps, through the decoder that the sources went through.

    FFmpeg's own differs from libopus by fractions of a sample, since each resamples its way.
    """
    decoder = make_decoder()
    with av.open(io.BytesIO(track), mode="r") as container:
        packets = [
            (p.pts or 0, decoder.decode(bytes(p)).copy()) for p in container.demux() if p.size
        ]
    signal = np.zeros(packets[-1][0] + packets[-1][1].size, np.float32)
    for start, pcm in packets:
        signal[start : start + pcm.size] = pcm
    return signal


def _shifted(signal: Pcm, by: int, size: int) -> Pcm:
    """`size` samples of it, later by some samples."""
    padded = np.pad(signal, (max(by, 0), size))
    return padded[max(-by, 0) : max(-by, 0) + size]


def _lag(track: Pcm, source: Pcm) -> int:
    """By how many samples a track is later than its source: the peak of their correlation."""
    size = 2 * max(track.size, source.size)
    spectrum = np.fft.rfft(track, size) * np.conj(np.fft.rfft(source, size))
    lag = int(np.argmax(np.fft.irfft(spectrum, size)))
    return lag if lag < size // 2 else lag - size


def _compare(decoded: list[Pcm], mix: Pcm, tracks: list[Pcm]) -> Compared:
    """Sample by sample, so the places (on a grid of 2.5 ms) are compared apart."""
    lags = [_lag(track, source) for track, source in zip(tracks, decoded, strict=True)]
    sources = [_shifted(s, lag, s.size) for s, lag in zip(decoded, lags, strict=True)]
    size = min(mix.size, *(source.size for source in sources)) // WINDOW * WINDOW
    fitted = np.concatenate(
        [
            _fit([s[at : at + WINDOW] for s in sources], mix[at : at + WINDOW])
            for at in range(0, size, WINDOW)
        ]
    ).astype(np.float32)
    ours, aac = mix[:size] - fitted, _through_aac(fitted)[:size] - fitted
    return Compared(
        _share(ours, fitted),
        _share(aac, fitted),
        _segmental_db(ours, fitted),
        _segmental_db(aac, fitted),
        max(map(_track_share, tracks, sources)),
        max(map(abs, lags)) * 1000 / RATE,
    )


def _track_share(track: Pcm, source: Pcm) -> float:
    """From the second second on: a file's decoder begins in the middle of the first packet."""
    end = min(track.size, source.size)
    return _share(track[RATE:end] - source[RATE:end], source[RATE:end])


def _fit(sources: list[Pcm], mix: Pcm) -> Matrix:
    """The sum of the sources with the gains that come closest to the mix."""
    heard = [s.astype(np.float64) for s in sources if np.abs(s).max() > 0.001]
    if not heard:
        return np.zeros(mix.size)
    columns = np.stack([c for s in heard for c in (s, s * RAMP)], axis=1)
    gains, *_ = np.linalg.lstsq(columns, mix.astype(np.float64))
    fitted: Matrix = columns @ gains
    return fitted


def _through_aac(signal: Pcm) -> Pcm:
    encoder = AacEncoder()
    padded = np.pad(signal, (0, -signal.size % FRAME))
    frames = [
        f for at in range(0, padded.size, FRAME) for f in encoder.encode(padded[at : at + FRAME])
    ]
    decoder = av.CodecContext.create("aac", "r")
    decoder.extradata = audio_specific_config()
    decoder.sample_rate = RATE
    decoder.layout = "mono"
    pcm = [
        frame.to_ndarray().reshape(-1)
        for data in [*frames, *encoder.flush()]
        for frame in decoder.decode(av.Packet(data))
    ]
    return np.concatenate(pcm).astype(np.float32)


def _share(rest: Pcm, whole: Pcm) -> float:
    return float(np.sqrt(np.mean(rest**2) / np.mean(whole**2)))


def _segmental_db(rest: Pcm, whole: Pcm) -> float:
    """The mean over windows of 20 ms in which something is heard."""
    size = whole.size // 960 * 960
    power = np.mean(whole[:size].reshape(-1, 960).astype(np.float64) ** 2, axis=1)
    left = np.mean(rest[:size].reshape(-1, 960).astype(np.float64) ** 2, axis=1)
    loud = power > 1e-5
    return float(np.mean(10 * np.log10(power[loud] / np.maximum(left[loud], 1e-12))))
