"""One event stream: what becomes of it when its reader is slow."""

import time

import pytest

from rooms.frames import Frame, chunk
from rooms.stream import MAX_UNSENT, MAX_WAITING, Pace, Stream
from tests.rooms.conftest import House
from tests.rooms.tapes import Tape, stranger


@pytest.fixture
async def stream(house: House) -> Stream:
    """One that nobody feeds."""
    return Stream(0, (), Pace(), caller=stranger(await house.live_room()))


def offer(stream: Stream, kind: str, seq: int | None = None) -> None:
    stream.offer(Frame(b"x", kind, seq), chunk(b"x"))


async def test_who_does_not_read_is_dropped_and_an_ephemeral_flood_alone_drops_nobody(
    stream: Stream,
) -> None:
    stream.attach(tape := Tape())
    tape.unsent = MAX_UNSENT
    for _ in range(1000):
        offer(stream, "speaking")
    assert (tape.texts.qsize(), tape.aborted) == (0, False)
    offer(stream, "hand.raised", 1)
    assert (tape.texts.qsize(), tape.aborted) == (1, False)
    tape.unsent = MAX_UNSENT + 1
    offer(stream, "hand.raised", 2)
    assert (tape.texts.qsize(), tape.aborted) == (1, True)
    offer(stream, "hand.raised", 3)
    assert tape.texts.qsize() == 1


async def test_too_much_while_catching_up_drops_too(stream: Stream) -> None:
    for _ in range(2 * MAX_WAITING):
        offer(stream, "speaking")
    for seq in range(1, MAX_WAITING + 1):
        offer(stream, "hand.raised", seq)
    stream.attach(tape := Tape())
    assert (tape.texts.qsize(), tape.aborted) == (0, True)


async def test_what_came_while_catching_up_follows_once(stream: Stream) -> None:
    for seq in range(1, 6):
        offer(stream, "hand.raised", seq)
    stream.sent = 3
    stream.attach(tape := Tape())
    assert (tape.texts.qsize(), stream.sent) == (2, 5)


async def test_who_does_not_take_the_farewell_is_cut_off(stream: Stream) -> None:
    stream.attach(tape := Tape())
    stream.note(Frame(b"", "room.ended", 1))
    now = time.monotonic()
    stream.look_at_clock(now)
    assert not tape.ended
    stream.look_at_clock(now + Pace().linger_s + 0.1)
    assert (tape.ended, tape.aborted) == (True, False)
    stream.look_at_clock(now + 2 * Pace().linger_s)
    assert tape.aborted
