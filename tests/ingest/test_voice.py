"""Who is decoded, whatever the clients' levels say, and that no first syllable is lost."""

import numpy as np
import pytest

from ingest.journal import NO_LEVEL
from ingest.opus import LOOKAHEAD, RATE, SILENCE
from ingest.voice import PRE_ROLL, Sound, Voice
from tests.ingest.journals import Pcm, tone
from tests.ingest.listening import rms
from tests.ingest.sounds import sounds
from tests.ingest.speech import noise, say


class Heard:
    """What a voice puts where."""

    def __init__(self, seconds: float) -> None:
        self.signal = np.zeros(round(seconds * RATE), np.float32)
        self.voice = Voice(self._put)

    def _put(self, start: int, pcm: Pcm) -> None:
        self.signal[start : start + pcm.size] = pcm

    def part(self, start: float, end: float) -> Pcm:
        return self.signal[round(start * RATE) : round(end * RATE)]


def hear(packets: list[Sound]) -> Heard:
    heard = Heard(packets[-1].end / RATE)
    for packet in packets:
        heard.voice.add(packet)
    return heard


def test_the_silent_are_not_decoded() -> None:
    heard = hear(sounds(tone(10, amplitude=0.0005)))
    assert heard.voice.decoded == 2 * len((0.5, 1.5, 3.5, 7.5))
    assert heard.voice.skipped == 500
    assert not heard.signal.any()


def test_without_a_level_all_is_decoded() -> None:
    heard = hear(sounds(tone(1, amplitude=0.0005), level=NO_LEVEL))
    assert heard.voice.decoded == 50


def test_a_quiet_microphone_is_heard() -> None:
    assert rms(hear(sounds(tone(1, amplitude=0.004), level=51)).signal) > 0.001


@pytest.mark.parametrize("frame_ms", [10, 20, 60])
def test_a_voice_is_held_open_for_300_ms_and_fades(frame_ms: int) -> None:
    """Noise after the last word: there for 300 ms and 10 more, without a step at the end."""
    packets = sounds(tone(2, amplitude=0.002), level=80, frame_ms=frame_ms)
    loud = sounds(tone(2, amplitude=0.002), level=20, frame_ms=frame_ms)
    last = 480 // frame_ms - 1
    heard = hear(loud[: last + 1] + packets[last + 1 :])
    closed = packets[last].start + round(0.3 * RATE)
    closed = -(-closed // (frame_ms * 48)) * frame_ms * 48
    assert rms(heard.signal[closed - 480 : closed]) > 0.001
    assert not heard.signal[closed + 480 :].any()
    assert np.abs(np.diff(heard.signal[closed - 48 : closed + 490])).max() < 0.0003


@pytest.mark.parametrize("level", [61, 100, 127])
def test_a_level_that_lies_is_found_out_within_half_a_second(level: int) -> None:
    heard = hear(sounds(tone(5), level=level))
    assert rms(heard.part(0.6, 5)) == pytest.approx(0.3 / np.sqrt(2), rel=0.1)


def test_probes_of_real_silence_change_nothing() -> None:
    """A second of noise, a word, then noise again: only the word opened the gate."""
    background = noise(6, -66)
    background[2 * RATE : 3 * RATE] += tone(1)
    heard = hear(sounds(background))
    assert not heard.part(0, 1.9).any()
    assert rms(heard.part(2.1, 2.9)) > 0.2
    assert not heard.part(3.4, 6).any()


def test_silent_packets_are_not_probed() -> None:
    packets = [Sound("ada", 1, at * 960, 960, 127, SILENCE) for at in range(200)]
    assert hear(packets).voice.decoded == 0


@pytest.mark.parametrize("frame_ms", [10, 20, 40, 60, 120])
@pytest.mark.parametrize("speaker", ["ada", "chiara"])
def test_the_first_syllable_is_as_without_a_gate(speaker: str, frame_ms: int) -> None:
    """From 60 ms before the packet that opens the gate on, beside a decoder that heard all.

    The start of a word is soft: it fades in from nothing over 200 ms here.
    """
    signal = noise(3, -68)
    word = say(speaker, 1.5, start=0.3)
    word[: RATE // 5] *= np.geomspace(1e-4, 1, RATE // 5, dtype=np.float32)
    signal[round(1.234 * RATE) : round(1.234 * RATE) + word.size] += word
    packets = sounds(signal, frame_ms=frame_ms)
    gated = hear(packets).signal
    whole = hear(sounds(signal, frame_ms=frame_ms, level=NO_LEVEL)).signal
    opening = next(p.start for p in packets if p.level <= 60)
    assert gated[: opening - PRE_ROLL].any() == 0
    begin = max(opening - PRE_ROLL, 0) + 480
    rest = gated[begin:] - whole[begin:]
    assert rms(rest[: opening - begin]) < 10 ** (-60 / 20)
    assert rms(rest[opening - begin : 4800]) < 0.05 * rms(whole[opening : opening + 4800])
    assert rms(gated[opening - PRE_ROLL + 480 : opening]) > 0.5 * rms(
        whole[opening - PRE_ROLL + 480 : opening]
    )


def test_the_gate_opens_without_a_click() -> None:
    signal = noise(2, -62)
    signal[RATE:] += tone(1)
    heard = hear(sounds(signal))
    opening = int(np.flatnonzero(heard.signal)[0])
    assert RATE - PRE_ROLL - 960 <= opening <= RATE
    assert np.abs(heard.signal[opening : opening + 48]).max() < 0.0005


def test_a_short_loss_is_concealed() -> None:
    def mixed(lost: int) -> float:
        packets = sounds(tone(1), level=10)
        after = packets[20 + lost]
        packets[20 + lost] = Sound(
            "ada", 1, after.start, after.samples, 10, after.payload, lost * 960
        )
        heard = hear(packets[:20] + packets[20 + lost :])
        return rms(heard.signal[20 * 960 + LOOKAHEAD : (20 + lost) * 960])

    assert mixed(1) > 0.1
    assert mixed(3) > 0.05
    assert mixed(4) < 0.02


def test_malformed_packets_harm_nothing() -> None:
    packets = sounds(tone(1), level=10)
    broken = packets[10]
    packets[10] = Sound("ada", 1, broken.start, 960, 10, b"\xfb")
    assert rms(hear(packets).part(0.4, 1)) == pytest.approx(0.3 / np.sqrt(2), rel=0.1)
