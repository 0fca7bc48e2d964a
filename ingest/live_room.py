"""A room while this machine receives it: the stage decides whose packets the recorder keeps."""

import logging
from dataclasses import replace
from uuid import UUID

from ingest.journal import NO_LEVEL, Packet
from ingest.journal_end import JournalEnd
from ingest.marks import RecordMark, RoomEnded, StreamClosed, StreamOpened
from ingest.peer import Peer
from ingest.recorder import Recorder
from rooms.models import RoomState
from rooms.stage import Stage

log = logging.getLogger(__name__)


class LiveRoom:
    """Kept is what comes from an established peer of somebody on stage, with consent, not muted,
    while the room is live and on the record.

    `end` is what earlier files of the journal hold: stream numbers go on, marks are not repeated.
    """

    def __init__(self, stage: Stage, recorder: Recorder, end: JournalEnd) -> None:
        self.stage = stage
        self.recorder = recorder
        self.ended = False
        self.peers: dict[UUID, Peer] = {}
        """The established peer of each participant; a newer one takes its place."""
        self._streams = end.streams
        self._marks = end.marks
        self.apply(stage)

    @property
    def room_id(self) -> UUID:
        return self.stage.room_id

    @property
    def on_record(self) -> bool:
        return bool(self.stage.marks) and self.stage.marks[-1].on

    def apply(self, stage: Stage) -> None:
        """Takes over what has changed; marks reach the journal before this returns."""
        if self.ended:
            return
        self.stage = stage
        for mark in stage.marks[self._marks :]:
            self.recorder.write(RecordMark(mark.room_ms, mark.on))
        self._marks = max(self._marks, len(stage.marks))
        if stage.state is RoomState.ENDED:
            self._end(stage.ended_room_ms or 0)
        for peer in self.peers.values():
            peer.kept = self._keeps(peer.participant_id)
        self.recorder.flush()

    def _end(self, room_ms: int) -> None:
        for peer in self.peers.values():
            self._close_streams(peer)
        self.recorder.write(RoomEnded(room_ms))
        self.ended = True

    def may_speak(self, participant_id: UUID) -> bool:
        """Whether the participant may connect; being kept is another question."""
        speaker = self.stage.speakers.get(participant_id)
        return speaker is not None and speaker.on_stage and not self.ended

    def may_be_heard(self, participant_id: UUID) -> bool:
        speaker = self.stage.speakers.get(participant_id)
        return self.may_speak(participant_id) and speaker is not None and not speaker.muted

    def _keeps(self, participant_id: UUID) -> bool:
        speaker = self.stage.speakers.get(participant_id)
        consented = speaker is not None and speaker.consented
        return consented and self.on_record and self.may_be_heard(participant_id)

    def connected(self, peer: Peer) -> Peer | None:
        """An established peer takes its participant's place; the one it replaces is returned."""
        old = self.peers.get(peer.participant_id)
        if old is peer:
            return None
        if old is not None:
            self._release(old)
        self.peers[peer.participant_id] = peer
        peer.sink = self
        peer.kept = self._keeps(peer.participant_id)
        return old

    def gone(self, peer: Peer) -> None:
        """The peer will send no more."""
        if self.peers.get(peer.participant_id) is peer:
            del self.peers[peer.participant_id]
            self._release(peer)
            self.recorder.flush()

    def _release(self, peer: Peer) -> None:
        peer.kept, peer.sink = False, None
        self._close_streams(peer)

    def _close_streams(self, peer: Peer) -> None:
        for ssrc, number in peer.numbers.items():
            stream = peer.streams[ssrc]
            self.recorder.write(StreamClosed(number, stream.received, stream.lost))
        peer.numbers.clear()

    def on_packet(self, peer: Peer, ssrc: int, packet: Packet) -> None:
        """Keeps one packet; a stream's first opens it."""
        if packet.stream == 0:
            self._streams += 1
            peer.numbers[ssrc] = self._streams
            has_level = packet.level != NO_LEVEL
            self.recorder.write(
                StreamOpened(self._streams, str(peer.participant_id), ssrc, has_level)
            )
            packet = replace(packet, stream=self._streams)
        self.recorder.keep(packet)
