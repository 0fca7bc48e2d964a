"""Streams of packets for the timeline: when each arrives, and where its sound truly belongs."""

from dataclasses import dataclass

from ingest.cut import Cut
from ingest.journal import Packet
from ingest.opus import GRID, LOOKAHEAD, RATE
from ingest.timeline import Placed, Run, TrackTimeline

TOCS = {120: 0xE0, 480: 0xF0, 960: 0xF8, 1920: 0xF9, 2880: 0xFB, 5760: 0xFB}
FRAMES = {2880: 3, 5760: 6}


def payload(samples: int, *, loud: bool = True) -> bytes:
    """A packet of this length; what it holds does not matter here."""
    body = bytes([FRAMES[samples]]) if samples in FRAMES else b""
    return bytes([TOCS[samples]]) + body + bytes(60 if loud else 1)


@dataclass(frozen=True)
class Sent:
    """A packet, when it arrives, and where its sound truly belongs."""

    arrival: float
    packet: Packet
    truth: int


def stream(
    count: int,
    *,
    number: int = 1,
    start: float = 1.0,
    samples: int = 960,
    seq: int = 100,
    time: int = 1000,
    delay: float = 0.02,
    drift: float = 0.0,
    level: int = 30,
    loud: bool = True,
) -> list[Sent]:
    """`count` packets in order; `truth` is what a perfect receiver would say."""
    sent: list[Sent] = []
    for index in range(count):
        captured = start + (index + 1) * samples / RATE / (1 + drift)
        packet = Packet(
            number,
            (seq + index) & 0xFFFF,
            (time + index * samples) & 0xFFFFFFFF,
            level,
            payload(samples, loud=loud),
        )
        truth = round((captured + delay) * RATE) - samples - LOOKAHEAD
        sent.append(Sent(captured + delay, packet, truth))
    return sent


def play(timeline: TrackTimeline, sent: list[Sent]) -> list[Placed]:
    """Pushes in order of arrival; the packager's cut follows."""
    placed: list[Placed] = []
    cut = Cut()
    for item in sorted(sent, key=lambda s: s.arrival):
        room_us = round(item.arrival * 1_000_000)
        for horizon in cut.move(room_us, [timeline]):
            placed += singly(timeline.advance(horizon))
        timeline.push(item.packet, room_us)
    return placed + singly(timeline.advance(None))


def singly(runs: list[Run]) -> list[Placed]:
    return [packet for run in runs for packet in run.singly()]


def track(*numbers: int) -> TrackTimeline:
    timeline = TrackTimeline()
    for number in numbers or (1,):
        timeline.open(number)
    return timeline


def check_order(placed: list[Placed]) -> None:
    """What every writer relies on: rising, no overlap, on the grid."""
    end = 0
    for packet in placed:
        assert packet.start >= end
        assert packet.start % GRID == 0
        end = packet.end
