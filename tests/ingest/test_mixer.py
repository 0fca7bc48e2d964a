"""Who is heard in the mix, whatever the clients' levels say."""

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.aac import AacEncoder, audio_specific_config
from ingest.journal import NO_LEVEL
from ingest.mixer import Mixer, Sound, limit
from ingest.opus import LOOKAHEAD, RATE
from tests.ingest.journals import Pcm, opus, tone
from tests.ingest.listening import rms


def play(mixer: Mixer, signal: Pcm, *, level: int, stream: int = 1, start: int = 0) -> None:
    for index, payload in enumerate(opus(signal)):
        mixer.add(Sound(stream, start + index * 960, 960, level, payload))


def test_one_voice_is_the_mix() -> None:
    signal = tone(1)
    mixer = Mixer(0)
    play(mixer, signal, level=10)
    heard = mixer.take(RATE)
    assert rms(heard[LOOKAHEAD + 9600 :] - signal[9600:-LOOKAHEAD]) < 0.05


def test_voices_are_added() -> None:
    mixer = Mixer(0)
    play(mixer, tone(1, 300), level=10, stream=1)
    play(mixer, tone(1, 700), level=10, stream=2)
    heard = mixer.take(RATE)[9600:]
    assert rms(heard) == pytest.approx(0.3, rel=0.1)


def test_the_silent_are_not_decoded() -> None:
    mixer = Mixer(0)
    play(mixer, tone(10, amplitude=0.0005), level=80)
    assert mixer.decoded <= 10 * 2 * 2 + 2
    assert mixer.skipped >= 450
    assert np.abs(mixer.take(10 * RATE)).max() == 0


def test_a_voice_is_held_open_for_300_ms() -> None:
    mixer = Mixer(0)
    mixer.add(Sound(1, 0, 960, 20, opus(tone(1))[0]))
    for index, payload in enumerate(opus(tone(1, amplitude=0.002))[1:], start=1):
        mixer.add(Sound(1, index * 960, 960, 80, payload))
    assert 15 <= mixer.decoded <= 20


@pytest.mark.parametrize("level", [61, 100, 127])
def test_a_level_that_lies_is_found_out_within_half_a_second(level: int) -> None:
    mixer = Mixer(0)
    play(mixer, tone(5), level=level)
    heard = mixer.take(5 * RATE)
    assert rms(heard[round(0.6 * RATE) :]) == pytest.approx(0.3 / np.sqrt(2), rel=0.1)


def test_without_a_level_all_is_decoded() -> None:
    mixer = Mixer(0)
    play(mixer, tone(1, amplitude=0.0005), level=NO_LEVEL)
    assert mixer.decoded == 50


def test_a_short_loss_is_concealed() -> None:
    def mixed(lost: int) -> float:
        mixer = Mixer(0)
        for index, payload in enumerate(opus(tone(1))):
            if not 20 <= index < 20 + lost:
                missing = lost * 960 if index == 20 + lost else 0
                mixer.add(Sound(1, index * 960, 960, 10, payload, missing))
        return rms(mixer.take(RATE)[20 * 960 + 312 : (20 + lost) * 960])

    assert mixed(1) > 0.1
    assert mixed(3) > 0.05
    assert mixed(4) < 0.02


@given(st.lists(st.integers(0, 4800), min_size=1, max_size=30))
@settings(deadline=None, max_examples=25)
def test_the_blocks_of_a_mix_join(sizes: list[int]) -> None:
    one, many = Mixer(0), Mixer(0)
    for mixer in (one, many):
        play(mixer, tone(1), level=10)
    position, parts = 0, []
    for size in sizes:
        position += size
        parts.append(many.take(position))
    assert np.array_equal(np.concatenate(parts), one.take(position))


def test_what_comes_too_late_is_left_out_and_harms_nothing() -> None:
    mixer = Mixer(0)
    packets = opus(tone(0.2))
    mixer.take(1500)
    for index, payload in enumerate(packets):
        mixer.add(Sound(1, index * 960, 960, 10, payload))
    heard = mixer.take(9600)
    assert heard.size == 8100
    assert rms(heard[2000:]) > 0.1


@given(st.lists(st.floats(-8, 8, width=32), min_size=1, max_size=200))
@settings(deadline=None)
def test_the_limiter_never_clips_and_keeps_what_is_soft(values: list[float]) -> None:
    signal = np.array(values, np.float32)
    limited = limit(signal)
    assert np.abs(limited).max() <= 1
    soft = np.abs(signal) <= 0.8
    assert np.array_equal(limited[soft], signal[soft])
    assert np.all(np.sign(limited) == np.sign(signal))


def test_aac_frames_line_up_with_their_input() -> None:
    signal = np.zeros(48 * 1024, np.float32)
    signal[20_000:20_100] = 0.9
    encoder = AacEncoder()
    frames = [
        f for at in range(0, signal.size, 1024) for f in encoder.encode(signal[at : at + 1024])
    ]
    frames += encoder.flush()
    decoder = av.CodecContext.create("aac", "r")
    decoder.extradata = audio_specific_config()
    decoder.sample_rate = RATE
    decoder.layout = "mono"
    decoded = [
        f.to_ndarray().reshape(-1) for data in frames for f in decoder.decode(av.Packet(data))
    ]
    heard = np.concatenate(decoded)
    assert heard.size == signal.size
    assert abs(int(np.argmax(np.abs(heard) > 0.3)) - 20_000) < 48


def test_a_quiet_microphone_is_heard() -> None:
    mixer = Mixer(0)
    signal = tone(1, amplitude=0.004)
    play(mixer, signal, level=51)
    assert rms(mixer.take(RATE)) > 0.001
