"""Session files: what a killed process's successor finds."""

import errno
from pathlib import Path

import pytest

from ingest.sessions import SAVE_EVERY, Sessions
from tests.ingest.client import Client
from tests.ingest.test_peer import HERE, hear, knock, make_peer, shake_hands
from tests.ingest.test_recorder import disk_of


def test_a_saved_session_hears_its_client_again(tmp_path: Path) -> None:
    client = Client()
    peer = make_peer(client)
    knock(peer, HERE)
    shake_hands(peer, client)
    for seq in range(65_000, 66_000, 100):
        assert hear(peer, client.rtp(seq))
    Sessions(tmp_path / "sessions").save(peer)
    (path,) = (tmp_path / "sessions").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "sessions").stat().st_mode & 0o777 == 0o700
    (heir,) = Sessions(tmp_path / "sessions").load()
    assert heir.established
    assert heir.session_id == peer.session_id
    assert heir.participant_id == peer.participant_id
    assert heir.credentials == peer.credentials
    assert (heir.etag, heir.mid, heir.address) == (peer.etag, "0", HERE)
    assert hear(heir, client.rtp(66_000))
    assert heir.positions() == {77: 66_000}
    assert heir.streams[77].lost == 0
    assert knock(heir, HERE)


def test_files_follow_streams_that_move(tmp_path: Path) -> None:
    client = Client()
    peer = make_peer(client)
    knock(peer, HERE)
    shake_hands(peer, client)
    sessions = Sessions(tmp_path)
    sessions.save(peer)
    path = tmp_path / "s.json"
    for seq, written in ((1, True), (2, False), (SAVE_EVERY, False), (SAVE_EVERY + 1, True)):
        before = path.read_bytes()
        hear(peer, client.rtp(seq))
        sessions.save_moved([peer, make_peer()])
        assert (path.read_bytes() != before) is written
    sessions.forget(peer)
    assert not path.exists()
    sessions.forget(peer)


def test_a_session_without_a_handshake_is_not_saved(tmp_path: Path) -> None:
    Sessions(tmp_path).save(make_peer())
    assert Sessions(tmp_path).load() == []


@pytest.mark.parametrize("text", ["", "{}", "[]", "nonsense", '{"session_id": 1}'])
def test_files_of_no_use_are_removed(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    assert Sessions(tmp_path).load() == []
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_costs_only_the_resume(tmp_path: Path) -> None:
    client = Client()
    peer = make_peer(client)
    knock(peer, HERE)
    shake_hands(peer, client)
    with disk_of(0):
        Sessions(tmp_path).save(peer)
    assert Sessions(tmp_path).load() == []


def test_no_folder_is_no_session(tmp_path: Path) -> None:
    assert Sessions(tmp_path / "nothing").load() == []


def test_a_file_that_cannot_be_removed_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", read_only)
    Sessions(tmp_path).forget(make_peer())
    assert "a session file stays: Read-only file system" in caplog.text
