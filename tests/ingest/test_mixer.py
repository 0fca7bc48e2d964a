"""Many voices to one signal: at their places, equally loud, the same in whatever steps."""

import itertools
from collections import deque

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.aac import AacEncoder, audio_specific_config
from ingest.limiter import CEILING, LOOK_AHEAD
from ingest.loudness import HOP, TARGET_LUFS
from ingest.mixer import Mixer
from ingest.opus import LOOKAHEAD, RATE
from ingest.voice import PRE_ROLL, Sound
from tests.ingest.journals import Pcm, tone
from tests.ingest.listening import rms
from tests.ingest.sounds import sounds, unlevelled
from tests.ingest.speech import SPEAKERS, noise, say
from tests.ingest.test_loudness import integrated


def mixed(*streams: list[Sound], until: int) -> Pcm:
    """All packets in the order of their starts, mixed in one go."""
    mixer = Mixer(0)
    for sound in sorted(itertools.chain(*streams), key=lambda sound: sound.start):
        mixer.add(sound)
    return mixer.drain(until)


def test_one_voice_is_the_mix_at_its_place() -> None:
    signal = tone(1)
    heard = mixed(sounds(signal, level=10), until=RATE)
    assert heard.size == RATE
    assert rms(heard[LOOKAHEAD + 9600 :] - signal[9600:-LOOKAHEAD]) < 0.05


def test_voices_are_added() -> None:
    one = sounds(tone(1, 300), level=10)
    two = sounds(tone(1, 700), level=10, speaker="ben", stream=2)
    assert rms(mixed(one, two, until=RATE)[9600:]) == pytest.approx(0.3, rel=0.1)


def test_ten_who_shout_do_not_clip() -> None:
    streams = [
        sounds(say("ben", 1, gain=8, start=2 * n), speaker=str(n), stream=n) for n in range(10)
    ]
    heard = mixed(*streams, until=RATE)
    assert np.abs(heard).max() <= CEILING * 1.0001
    assert rms(heard) > 0.1


@given(st.lists(st.integers(0, 9600), min_size=1, max_size=20))
@settings(deadline=None, max_examples=15)
def test_the_blocks_of_a_mix_join(sizes: list[int]) -> None:
    """Taken while packets come, each as soon as it may be, or all at once."""
    signal = say("ada", 2, gain=3)
    packets = sounds(signal, level=10)
    waiting, many = deque(packets), Mixer(0)
    parts: list[Pcm] = []
    for until in itertools.accumulate(sizes):
        while waiting and waiting[0].start < until:
            many.add(waiting.popleft())
        parts.append(many.take(until))
    for sound in waiting:
        many.add(sound)
    parts.append(many.drain(2 * RATE))
    assert np.array_equal(np.concatenate(parts), mixed(packets, until=2 * RATE))


def test_the_mix_is_a_hop_and_its_look_ahead_behind() -> None:
    mixer = Mixer(0)
    assert mixer.take(HOP + PRE_ROLL - 1).size == 0
    assert mixer.take(HOP + PRE_ROLL).size == HOP - LOOK_AHEAD
    assert mixer.take(2 * HOP + PRE_ROLL + 5).size == HOP
    assert mixer.drain(2 * HOP + 960).size == LOOK_AHEAD + 960


def test_what_comes_too_late_is_left_out_and_harms_nothing() -> None:
    mixer = Mixer(0)
    before = mixer.drain(960 * 3)
    for sound in sounds(tone(0.2), level=10):
        mixer.add(sound)
    heard = mixer.drain(9600)
    assert before.size + heard.size == 9600
    assert rms(heard[2000:]) > 0.1


def test_all_speakers_are_equally_loud_after_some_seconds() -> None:
    """One close to the microphone, one far away, one as it should be; in turn, then at once."""
    gains = dict(zip(SPEAKERS, (2.5, 0.25, 1.0), strict=True))
    alone: dict[str, float] = {}
    for speaker, gain in gains.items():
        heard = mixed(sounds(say(speaker, 12, gain=gain)), until=12 * RATE)
        alone[speaker] = integrated(heard[5 * RATE :])
    assert max(alone.values()) - min(alone.values()) < 2.0
    for loudness in alone.values():
        assert loudness == pytest.approx(TARGET_LUFS, abs=1.5)


def test_a_reconnected_speaker_keeps_their_gain() -> None:
    before = sounds(say("ada", 10, gain=0.25))
    after = sounds(say("ada", 2, gain=0.25, start=10), stream=2, start=12 * RATE)
    heard = mixed(before, after, until=14 * RATE)
    source = say("ada", 2, gain=0.25, start=10)
    assert rms(heard[12 * RATE :]) > 3 * rms(source)


def test_a_room_without_words_stays_silent() -> None:
    """Somebody's fan, without a level: neither gated nor amplified."""
    fan = noise(6, -45)
    heard = mixed(sounds(fan, level=unlevelled), until=6 * RATE)
    assert rms(heard[2 * RATE :]) < 1.1 * rms(fan)


@pytest.mark.parametrize("begin", [RATE, 2 * RATE + 17 * 960])
def test_a_restarted_mixer_goes_on_as_if_never_stopped(begin: int) -> None:
    """It decodes from 0.4 s before, with the levels that were known at the hop."""
    packets = sounds(say("chiara", 6, gain=0.3), level=10)
    first = Mixer(0)
    for sound in packets:
        first.add(sound)
    whole = first.drain(4 * RATE)
    hop = begin // HOP * HOP
    second = Mixer(hop - 20 * 1024, first.levels_at(hop))
    for sound in packets:
        second.add(sound)
    second.begin(hop)
    again = second.drain(4 * RATE)
    assert again.size == whole.size - hop
    assert rms(again - whole[hop:]) < 0.001 * rms(whole[hop:])


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
