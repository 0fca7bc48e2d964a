"""Messages between the engine and its parent: what goes in comes out, what is too much doesn't."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcripts.frames import HEAD, MAX_JSON, MAX_SOUND, FrameError, lengths, pack, parse, sound_of
from transcripts.transcriber import RATE, WINDOW_SECONDS

messages = st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.none()))
sounds = st.lists(st.floats(-1, 1, width=32), max_size=50)


@given(messages, sounds)
def test_a_frame_holds_what_was_packed(message: dict[str, object], sound: list[float]) -> None:
    frame = pack(message, np.array(sound, np.float32))
    of_json, of_sound = lengths(frame[: HEAD.size])
    body, pcm = frame[HEAD.size : HEAD.size + of_json], frame[HEAD.size + of_json :]
    assert len(pcm) == of_sound
    assert parse(body) == message
    assert sound_of(pcm).tolist() == sound


@given(st.binary(min_size=HEAD.size, max_size=HEAD.size))
def test_lengths_are_bounded_whatever_comes(head: bytes) -> None:
    try:
        of_json, of_sound = lengths(head)
    except FrameError:
        return
    assert of_json <= MAX_JSON
    assert of_sound <= MAX_SOUND


def test_a_whole_window_fits_and_one_sample_more_does_not() -> None:
    window = np.zeros(int(RATE * WINDOW_SECONDS), np.float32)
    assert lengths(pack({}, window)[: HEAD.size]) == (2, MAX_SOUND)
    with pytest.raises(FrameError):
        pack({}, np.zeros(len(window) + 1, np.float32))


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b"{", b"\xff"])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(FrameError):
        parse(body)
