"""Established sessions on disk, so that a killed process's successor takes them up unheard.

One file (mode 0600) per session holds its SRTP keys: the same trust as the plaintext journal
beside it. A file is written when its session changes; stream positions in it may lag by up to
SAVE_EVERY packets, which SRTP's estimate of the rollover counter bridges (RFC 3711, 3.3.1).
"""

import json
import logging
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from core.durable import replace_file
from ingest.checks import Credentials
from ingest.peer import Peer
from ingest.room_clock import monotonic_us
from ingest.sdp import Media, Offer
from ingest.webrtc import DtlsError, SrtpKeys

log = logging.getLogger(__name__)
SAVE_EVERY: Final = 4096
"""Packets of one stream, about 80 s; far below the 32,768 that an estimate can bridge."""


_OF_NO_USE: Final = (OSError, ValueError, KeyError, TypeError, AttributeError, DtlsError)


class Sessions:
    """The folder of session files of one receiving process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._saved: dict[str, dict[int, int]] = {}
        self._found_at: dict[str, object] = {}
        """Address and credentials as they are in each file."""

    def _path(self, session_id: str) -> Path:
        return self._folder / f"{session_id}.json"

    def save(self, peer: Peer) -> None:
        """A full disk costs the resume, never the session."""
        if peer.keys is None or peer.address is None:
            return
        self._saved[peer.session_id] = peer.positions()
        self._found_at[peer.session_id] = (peer.address, peer.credentials)
        data = json.dumps(_to_json(peer, peer.keys)).encode()
        try:
            replace_file(self._path(peer.session_id), data, durable=False)
        except OSError as error:
            log.warning("a session could not be saved: %s", error.strerror)

    def save_moved(self, peers: list[Peer]) -> None:
        """Those whose client has moved, with a new stream, or with one that has gone on far."""
        for peer in peers:
            if not peer.established:
                continue
            saved = self._saved.get(peer.session_id, {})
            moved = peer.positions()
            elsewhere = (peer.address, peer.credentials) != self._found_at.get(peer.session_id)
            if elsewhere or any(s not in saved or moved[s] - saved[s] >= SAVE_EVERY for s in moved):
                self.save(peer)

    def forget(self, peer: Peer) -> None:
        self._saved.pop(peer.session_id, None)
        self._found_at.pop(peer.session_id, None)
        try:
            self._path(peer.session_id).unlink(missing_ok=True)
        except OSError as error:
            log.warning("a session file stays: %s", error.strerror)

    def load(self) -> list[Peer]:
        """The sessions of the process before, ready to go on; unreadable files are removed."""
        peers: list[Peer] = []
        for path in sorted(self._folder.glob("*.json")) if self._folder.is_dir() else []:
            try:
                peer = _from_json(path.stem, json.loads(path.read_text()))
            except _OF_NO_USE as error:
                log.warning("a session file is of no use: %s", type(error).__name__)
                path.unlink(missing_ok=True)
                continue
            self._saved[peer.session_id] = peer.positions()
            self._found_at[peer.session_id] = (peer.address, peer.credentials)
            peers.append(peer)
        return peers


def _to_json(peer: Peer, keys: SrtpKeys) -> dict[str, Any]:
    return {
        "room_id": str(peer.room_id),
        "participant_id": str(peer.participant_id),
        "mid": peer.mid,
        "payload_type": peer.payload_type,
        "level_id": peer.level_id,
        "credentials": [
            peer.credentials.ufrag,
            peer.credentials.password,
            peer.credentials.remote_ufrag,
        ],
        "etag": peer.etag,
        "token_sha256": peer.token_sha256.hex(),
        "address": list(peer.address or ()),
        "profile": keys.profile,
        "receive": keys.receive.hex(),
        "send": keys.send.hex(),
        "streams": peer.positions(),
    }


def _from_json(session_id: str, data: dict[str, Any]) -> Peer:
    ufrag, password, remote_ufrag = data["credentials"]
    audio = Media("audio", "UDP/TLS/RTP/SAVPF", (str(data["payload_type"]),), data["mid"])
    offer = Offer(
        media=(audio,),
        taken=0,
        bundled=True,
        payload_type=data["payload_type"],
        level_id=data["level_id"],
        mid_id=0,
        ufrag=remote_ufrag,
        password="",
        fingerprints=(),
        setup="passive",
    )
    peer = Peer(
        session_id=session_id,
        room_id=UUID(data["room_id"]),
        participant_id=UUID(data["participant_id"]),
        offer=offer,
        credentials=Credentials(ufrag, password, remote_ufrag),
        token_sha256=bytes.fromhex(data["token_sha256"]),
        now=monotonic_us() / 1_000_000,
    )
    peer.etag = data["etag"]
    keys = SrtpKeys(data["profile"], bytes.fromhex(data["receive"]), bytes.fromhex(data["send"]))
    address: Any = tuple(data["address"])
    peer.resume(keys, address, {int(ssrc): seq for ssrc, seq in data["streams"].items()})
    return peer
