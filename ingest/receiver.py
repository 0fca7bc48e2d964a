"""The rooms and peers of one receiving process, without its clock, database and HTTP."""

import logging
import secrets
from hashlib import sha256
from uuid import UUID

from core.errors import Forbidden, NotFound, Unavailable
from ingest.checks import new_credentials
from ingest.endpoint import Endpoint
from ingest.live_room import LiveRoom
from ingest.peer import Peer
from ingest.public_address import PublicAddress
from ingest.room_clock import monotonic_us
from ingest.sdp import Offer
from ingest.sdp_answer import Candidate, Local
from ingest.sessions import Sessions
from ingest.udp import open_socket

log = logging.getLogger(__name__)

MAX_PEERS = 4000
MAX_PENDING = 3
"""Sessions of one participant that have an answer and no handshake yet; the oldest gives way."""


class RoomNotHere(NotFound):
    code = "room_not_here"
    title = "This worker does not receive that room; ask for a publish URL again"


class SessionNotFound(NotFound):
    code = "session_not_found"
    title = "There is no such WHIP session"


class NotASpeaker(Forbidden):
    code = "not_a_speaker"
    title = "Only people on stage can publish"


class WorkerFull(Unavailable):
    code = "worker_full"
    title = "This worker takes no more sessions"


class Receiver:
    """`candidates` are the addresses that answers name, with the socket's port for 0."""

    def __init__(
        self, host: str, port: int, addresses: list[PublicAddress], sessions: Sessions
    ) -> None:
        self.rooms: dict[UUID, LiveRoom] = {}
        self._sessions = sessions
        self._started = False
        self._written_before = 0
        self._lost_before = 0
        self.endpoint = Endpoint(
            open_socket(host, port),
            on_established=self._on_established,
            on_gone=self._on_gone,
            on_drained=self._on_drained,
        )
        self.candidates = tuple(Candidate(a, p or self.endpoint.port) for a, p in addresses)

    def add(self, room: LiveRoom) -> None:
        """A room to receive. Its journal opens when packets are read: so long an outage lasts."""
        self.rooms[room.room_id] = room
        if self._started:
            room.recorder.flush()

    def start(self) -> None:
        """Begins to read, for the sessions of the process before too."""
        self._resume()
        self.endpoint.start()
        self._started = True
        for room in self.rooms.values():
            room.recorder.flush()

    def room(self, room_id: UUID) -> LiveRoom:
        """Raises RoomNotHere, for an ended room too."""
        room = self.rooms.get(room_id)
        if room is None or room.ended:
            raise RoomNotHere
        return room

    def open_session(
        self, room_id: UUID, participant_id: UUID, offer: Offer, token: str
    ) -> tuple[Peer, Local]:
        """A new session of somebody on stage. Raises RoomNotHere, NotASpeaker, WorkerFull."""
        if not self.room(room_id).may_speak(participant_id):
            raise NotASpeaker
        self._make_place(participant_id)
        peer = Peer(
            session_id=secrets.token_urlsafe(16),
            room_id=room_id,
            participant_id=participant_id,
            offer=offer,
            credentials=new_credentials(offer.ufrag),
            token_sha256=sha256(token.encode()).digest(),
            now=monotonic_us() / 1_000_000,
        )
        self.endpoint.add(peer)
        return peer, self.local(peer.credentials.ufrag, peer.credentials.password)

    def _make_place(self, participant_id: UUID) -> None:
        peers = self.endpoint.peers
        if len(peers) >= MAX_PEERS:
            raise WorkerFull(headers={"Retry-After": "5"})
        pending = [p for p in peers if p.participant_id == participant_id and not p.established]
        for peer in pending[: max(0, len(pending) - MAX_PENDING + 1)]:
            self.endpoint.drop(peer)

    def session(self, room_id: UUID, session_id: str) -> Peer:
        peer = self.endpoint.peer(session_id)
        if peer is None or peer.room_id != room_id:
            raise SessionNotFound
        return peer

    def restart_ice(self, peer: Peer, remote_ufrag: str) -> Local:
        """Our new credentials; the session goes on with the old pair until the client moves."""
        credentials = peer.restart(remote_ufrag)
        self.endpoint.register(peer)
        return self.local(credentials.ufrag, credentials.password)

    def local(self, ufrag: str, password: str) -> Local:
        return Local(ufrag, password, self.endpoint.fingerprint, self.candidates)

    def end_session(self, peer: Peer) -> None:
        """After what had arrived of it."""
        self.endpoint.drain()
        self.endpoint.drop(peer)

    def _resume(self) -> None:
        """Takes up the sessions of the process before whose rooms and speakers are still here."""
        for peer in self._sessions.load():
            room = self.rooms.get(peer.room_id)
            if room is None or not room.may_speak(peer.participant_id):
                self._sessions.forget(peer)
                continue
            self.endpoint.add(peer)
            room.connected(peer)
            log.info("participant %s goes on after a restart", peer.participant_id)

    def close_room(self, room_id: UUID, *, fenced: bool = False) -> bool:
        """Drops the room's peers and closes its journal; False while the disk refuses its end.

        `fenced`: another worker has the room, the journal has no end to wait for.
        """
        room = self.rooms[room_id]
        for peer in [p for p in self.endpoint.peers if p.room_id == room_id]:
            self.endpoint.drop(peer)
        room.recorder.flush()
        if room.recorder.pending and not fenced:
            return False
        room.recorder.close()
        self._written_before += room.recorder.packets_written
        self._lost_before += room.recorder.packets_lost
        del self.rooms[room_id]
        return True

    @property
    def attended(self) -> list[UUID]:
        """Recordings of the rooms that somebody is connected to."""
        return [r.stage.recording_id for r in self.rooms.values() if r.peers]

    @property
    def packets_written(self) -> int:
        """To the journals of all rooms that were ever here."""
        return self._written_before + sum(r.recorder.packets_written for r in self.rooms.values())

    @property
    def packets_lost(self) -> int:
        """To disks that refused them."""
        return self._lost_before + sum(r.recorder.packets_lost for r in self.rooms.values())

    def close(self) -> None:
        """Takes what has arrived and closes the journals; sessions stay for the successor."""
        self.endpoint.stop()
        for room in self.rooms.values():
            room.recorder.close()

    def enforce(self, room: LiveRoom) -> None:
        """Drops peers of people who are no longer on stage."""
        for peer in [p for p in self.endpoint.peers if p.room_id == room.room_id]:
            if not room.may_speak(peer.participant_id):
                self.endpoint.drop(peer)

    def _on_established(self, peer: Peer) -> None:
        """Also after an established peer's address or credentials have changed."""
        room = self.rooms.get(peer.room_id)
        if room is None or not room.may_speak(peer.participant_id):
            self.endpoint.drop(peer)
            return
        known = room.peers.get(peer.participant_id) is peer
        replaced = room.connected(peer)
        if not known:
            # Later changes wait for `save_moved`: a client may move as often as it likes.
            self._sessions.save(peer)
        if replaced is not None:
            log.info("participant %s connected again", peer.participant_id)
            self.endpoint.drop(replaced)

    def _on_gone(self, peer: Peer) -> None:
        room = self.rooms.get(peer.room_id)
        if room is not None:
            room.gone(peer)
        self._sessions.forget(peer)

    def _on_drained(self, now_us: int) -> None:
        for room in self.rooms.values():
            room.recorder.flush(now_us)
