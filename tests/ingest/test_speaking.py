"""Who is announced as speaking, and how often."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.db import Database
from ingest.live_room import LiveRoom
from ingest.receiver import Receiver
from ingest.sessions import Sessions
from ingest.speaking import LOUD_PACKETS, REPEAT_PERIODS, SpeakingAnnouncer, heard_in
from tests.ingest.test_live_room import ADA, BEN, open_room, peer_of, speaker, stage


@pytest.fixture
def room(tmp_path: Path) -> Iterator[LiveRoom]:
    room = open_room(tmp_path / "journal", stage(speaker(ADA), speaker(BEN)))
    for participant_id in (BEN, ADA):
        room.connected(peer_of(participant_id))
    yield room
    room.recorder.close()


@pytest.fixture
def announcer(room: LiveRoom, tmp_path: Path) -> Iterator[SpeakingAnnouncer]:
    receiver = Receiver("127.0.0.1", 0, [("127.0.0.1", 0)], Sessions(tmp_path))
    receiver.rooms[room.room_id] = room
    yield SpeakingAnnouncer(receiver, Database("postgresql://nobody@127.0.0.1:1/none"))
    receiver.close()


def test_a_click_is_no_speech_and_counting_begins_anew(room: LiveRoom) -> None:
    room.peers[ADA].loud = LOUD_PACKETS
    room.peers[BEN].loud = LOUD_PACKETS - 1
    assert heard_in(room) == (ADA,)
    assert heard_in(room) == ()


def test_the_muted_are_not_announced(room: LiveRoom) -> None:
    room.apply(stage(speaker(ADA, muted=True), speaker(BEN, consented=False)))
    for peer in room.peers.values():
        peer.loud = 99
    assert heard_in(room) == (BEN,), "consent is about recording, not about speaking"


def test_only_changes_are_news_but_who_talks_on_is_repeated(
    room: LiveRoom, announcer: SpeakingAnnouncer
) -> None:
    told = []
    for _ in range(2 * REPEAT_PERIODS):
        room.peers[ADA].loud = 9
        told.append(announcer.news())
    assert told[0] == {room.room_id: (ADA,)}
    assert sum(map(bool, told)) == 3
    assert announcer.news() == {room.room_id: ()}
    assert announcer.news() == {}


def test_nobody_speaking_is_no_news(announcer: SpeakingAnnouncer) -> None:
    assert [announcer.news() for _ in range(REPEAT_PERIODS)] == [{}] * REPEAT_PERIODS
