"""A room while this machine receives it: the stage decides whose packets the recorder keeps."""

import logging
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from ingest.journal import LAST_STREAM
from ingest.journal_end import JournalEnd
from ingest.marks import (
    CloseReason,
    RecordMark,
    RoomEnded,
    RoomLeft,
    SpeakerReleased,
    StreamClosed,
    StreamOpened,
)
from ingest.peer import Peer
from ingest.recorder import Recorder
from rooms.models import RoomState
from rooms.stage import Stage

log = logging.getLogger(__name__)
NO_WITHDRAWALS: Final[Mapping[UUID, int]] = {}


class LiveRoom:
    """Kept is what comes from an established peer of somebody on stage, with consent, not muted,
    while the room is live and on the record.

    Whenever keeping stops the stream is closed, with the reason; what is kept later is a new
    one. `end` is what earlier files of the journal hold: stream numbers go on, marks are not
    repeated. Nothing is written before the first `apply` or the recorder's first `flush`.
    """

    def __init__(self, stage: Stage, recorder: Recorder, end: JournalEnd) -> None:
        self.stage = stage
        self.recorder = recorder
        self.keep = recorder.keep
        self.ended = False
        self.peers: dict[UUID, Peer] = {}
        """The established peer of each participant; a newer one takes its place."""
        self._streams = end.streams
        self._counts_at: dict[int, tuple[int, int]] = {}
        """Packets received and lost before each open stream began."""

        self._marks = end.marks
        self._missed = {UUID(participant_id) for participant_id in end.awaited}
        """Who would be heard if their connection had not been lost."""

        self._take(stage, NO_WITHDRAWALS)

    @property
    def room_id(self) -> UUID:
        return self.stage.room_id

    @property
    def on_record(self) -> bool:
        return bool(self.stage.marks) and self.stage.marks[-1].on

    def loses_consent(self, stage: Stage) -> bool:
        """Whether somebody who is kept now has withdrawn, so that `apply` must know when."""
        kept = [p for p, peer in self.peers.items() if peer.kept]
        return not all(p in stage.speakers and stage.speakers[p].consented for p in kept)

    def apply(self, stage: Stage, withdrawals: Mapping[UUID, int] = NO_WITHDRAWALS) -> None:
        """Takes over what has changed; marks reach the journal before this returns.

        `withdrawals` are `room_ms` of the last one of each participant.
        """
        if self.ended:
            return
        self._take(stage, withdrawals)
        self.recorder.flush()

    def _take(self, stage: Stage, withdrawals: Mapping[UUID, int]) -> None:
        self.stage = stage
        for mark in stage.marks[self._marks :]:
            self.recorder.write(RecordMark(mark.room_ms, mark.on))
        self._marks = max(self._marks, len(stage.marks))
        if stage.state is RoomState.ENDED:
            self._end(stage.ended_room_ms or 0)
        for peer in self.peers.values():
            peer.kept = self._keeps(peer.participant_id)
            if not peer.kept:
                speaker = stage.speakers.get(peer.participant_id)
                consented = speaker is not None and speaker.consented
                until = None if consented else withdrawals.get(peer.participant_id)
                self._close_streams(peer, until_ms=until)
        self._release_missed()

    def _release_missed(self) -> None:
        """A pause releases nobody: who comes back after it was missed until then."""
        for participant_id in sorted(self._missed):
            if not self._agreed_and_heard(participant_id):
                self._give_up(participant_id)

    def _give_up(self, participant_id: UUID) -> None:
        if participant_id in self._missed:
            self._missed.remove(participant_id)
            self.recorder.write(SpeakerReleased(str(participant_id)))

    def _end(self, room_ms: int) -> None:
        for peer in self.peers.values():
            self._close_streams(peer)
        self.recorder.write(RoomEnded(room_ms))
        self.ended = True
        self._missed.clear()

    def leave(self, now_us: int) -> None:
        """The room goes on at another worker; `now_us` is this machine's monotonic clock."""
        for peer in self.peers.values():
            peer.kept = False
            self._close_streams(peer)
        self.recorder.write(RoomLeft(self.recorder.clock.at(now_us) // 1000))
        self.ended = True
        self.recorder.flush(now_us)

    def may_speak(self, participant_id: UUID) -> bool:
        """Whether the participant may connect; being kept is another question."""
        speaker = self.stage.speakers.get(participant_id)
        return speaker is not None and speaker.on_stage and not self.ended

    def may_be_heard(self, participant_id: UUID) -> bool:
        speaker = self.stage.speakers.get(participant_id)
        return self.may_speak(participant_id) and speaker is not None and not speaker.muted

    def _agreed_and_heard(self, participant_id: UUID) -> bool:
        speaker = self.stage.speakers.get(participant_id)
        return speaker is not None and speaker.consented and self.may_be_heard(participant_id)

    def _keeps(self, participant_id: UUID) -> bool:
        return self.on_record and self._agreed_and_heard(participant_id)

    def connected(self, peer: Peer) -> Peer | None:
        """An established peer takes its participant's place; the one it replaces is returned."""
        old = self.peers.get(peer.participant_id)
        if old is peer:
            return None
        if old is not None:
            self._release(old, CloseReason.LOST)
        self.peers[peer.participant_id] = peer
        peer.sink = self
        peer.kept = self._keeps(peer.participant_id)
        return old

    def gone(self, peer: Peer) -> None:
        """The peer will send no more."""
        if self.peers.get(peer.participant_id) is peer:
            del self.peers[peer.participant_id]
            self._release(peer, CloseReason.LOST if peer.lost else CloseReason.LEFT)
            if not peer.lost:
                self._give_up(peer.participant_id)
            self.recorder.flush()

    def _release(self, peer: Peer, reason: CloseReason) -> None:
        peer.kept, peer.sink = False, None
        if peer.numbers and reason is CloseReason.LOST:
            self._missed.add(peer.participant_id)
        self._close_streams(peer, reason)

    def _close_streams(
        self,
        peer: Peer,
        reason: CloseReason = CloseReason.WITHHELD,
        *,
        until_ms: int | None = None,
    ) -> None:
        if peer.numbers:
            self.recorder.flush()  # what was said before lies before it in the journal, too
        for ssrc, number in peer.numbers.items():
            stream = peer.streams[ssrc]
            received, lost = self._counts_at.pop(number)
            received = stream.received - received
            lost = max(stream.lost - lost, 0)  # those counted before may have come after all
            self.recorder.write(StreamClosed(number, received, lost, until_ms, reason))
        peer.numbers.clear()

    def open_stream(self, peer: Peer, ssrc: int, *, has_level: bool) -> int:
        """The number of a stream whose first packet has been counted and is kept next."""
        number = peer.numbers[ssrc] = self._new_number()
        self._missed.discard(peer.participant_id)
        stream = peer.streams[ssrc]
        self._counts_at[number] = stream.received - 1, stream.lost
        self.recorder.write(StreamOpened(number, str(peer.participant_id), ssrc, has_level))
        return number

    def _new_number(self) -> int:
        """The next that is not open: they come round, however often somebody mutes."""
        self._streams = self._streams % LAST_STREAM + 1
        while self._streams in self._counts_at:
            self._streams = self._streams % LAST_STREAM + 1
        return self._streams
