"""Journals, manifests and session files: nothing that a client sends can be read as anything but
its sound, and torn or damaged bytes end the reading, never the reader.
"""

import json
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.journal import MAGIC, Batch, Event, JournalReader, Packet, pack_batch, pack_event
from ingest.journal_end import read_end
from ingest.manifest import Ended, GapFound, ManifestReader, dump
from ingest.marks import RoomEnded, to_event
from ingest.sessions import Sessions
from tests.hostile.arena import EVE, Arena, Voice
from tests.ingest.client import Client
from tests.ingest.packing import pack_packet
from tests.ingest.receiving import eventually
from tests.ingest.test_peer import HERE, knock, make_peer, shake_hands

INJECTIONS = [
    MAGIC * 4,
    pack_event(to_event(RoomEnded(1))),
    pack_batch(1 << 40, [pack_event(to_event(RoomEnded(1)))]),
    b'{"kind":"room.ended","room_ms":1}\n',
    b"\x02\xff\xff\xff\xff{",
    b"\x01" * 1100,
    b"",
    bytes(range(256)) * 4,
]
same_folder = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


async def test_payloads_that_look_like_a_journal_are_sound_in_it(arena: Arena, eve: Voice) -> None:
    packets = [
        eve.client.rtp(n, ssrc=int(EVE), payload=payload) for n, payload in enumerate(INJECTIONS, 1)
    ]
    await arena.take(eve, *packets)
    await eventually(lambda: len(arena.journal.said(EVE)) == len(INJECTIONS))
    assert [p.payload for p in arena.journal.said(EVE)] == INJECTIONS
    assert not any(isinstance(m, RoomEnded) for m in arena.journal.marks())


def journal_of(payloads: list[bytes]) -> bytes:
    batches = [
        pack_batch(n, [pack_event(Event("x", {"n": n})), pack_packet(Packet(1, n, 0, 9, p))])
        for n, p in enumerate(payloads)
    ]
    return MAGIC + b"".join(batches)


def read_all(path: Path) -> list[Batch]:
    reader, found = JournalReader(path), []
    while batches := reader.read():
        found += batches
    reader.close()
    return found


@same_folder
@given(
    payloads=st.lists(st.binary(max_size=60), max_size=6),
    at=st.integers(0, 500),
    damage=st.binary(max_size=20),
    torn=st.booleans(),
)
def test_a_damaged_journal_is_read_up_to_its_damage(
    tmp_path: Path, payloads: list[bytes], at: int, damage: bytes, torn: bool
) -> None:
    whole = journal_of(payloads)
    at = min(at, len(whole))
    data = whole[:at] + damage + (b"" if torn else whole[at + len(damage) :])
    path = tmp_path / "00000001.journal"
    path.write_bytes(whole)
    good = read_all(path)
    path.write_bytes(data)
    found = read_all(path)
    untouched = [b for b in good if len(journal_of(payloads[: b.room_us + 1])) <= at]
    assert found[: len(untouched)] == untouched
    assert all(b in good for b in found)
    end = read_end(tmp_path)
    assert end.files == 1
    assert not end.ended


@same_folder
@given(st.binary(max_size=300))
def test_any_bytes_are_a_journal_of_nothing(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "00000001.journal"
    for content in (data, MAGIC + data):
        path.write_bytes(content)
        assert read_all(path) == []
        assert read_end(tmp_path).last_room_us == 0


def test_a_length_that_lies_is_no_batch(tmp_path: Path) -> None:
    """Gigabytes are not waited for, and not asked memory for."""
    path = tmp_path / "00000001.journal"
    room = (0).to_bytes(8, "little")
    for length in (0xFFFFFFFF, (16 << 20) + 1, 1 << 20):
        head = length.to_bytes(4, "little") + zlib.crc32(room).to_bytes(4, "little") + room
        path.write_bytes(MAGIC + head + bytes(4096))
        assert read_all(path) == []


@same_folder
@given(cut=st.integers(0, 400), tail=st.binary(max_size=40).filter(lambda b: b"\n" not in b))
def test_a_torn_manifest_is_read_up_to_its_last_whole_line(
    tmp_path: Path, cut: int, tail: bytes
) -> None:
    lines = [GapFound(n, None, "receiver_down", 0.0, 1.0) for n in range(3)]
    whole = b"".join(map(dump, lines)) + dump(Ended(1.0, 2, 3, 0))
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(whole[:cut] + tail)
    reader = ManifestReader(path)
    found = reader.read()
    if cut >= len(whole):
        assert found == [*lines, Ended(1.0, 2, 3, 0)]
    else:
        assert found == lines[: len(found)]
    assert reader.read() == []


@same_folder
@given(st.one_of(st.binary(max_size=80), st.from_regex(r"\{\"[a-z_]{1,12}\": .{0,40}\}")))
def test_session_files_of_any_content_are_removed(tmp_path: Path, content: bytes | str) -> None:
    folder = tmp_path / "sessions"
    folder.mkdir(exist_ok=True)
    raw = content if isinstance(content, bytes) else content.encode()
    (folder / "x.json").write_bytes(raw)
    assert Sessions(folder).load() == []
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("field", ["profile", "receive", "address", "streams", "credentials"])
@pytest.mark.parametrize("value", [None, "", "zz", -1, [], {}, {"x": "y"}, ["a"], 1.5])
def test_a_session_file_with_a_wrong_field_is_removed_or_harmless(
    tmp_path: Path, field: str, value: object
) -> None:
    path = saved(tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    loaded = Sessions(tmp_path).load()
    assert len(loaded) == len(list(tmp_path.iterdir()))


def saved(folder: Path) -> Path:
    """The file of an established session."""
    client = Client()
    peer = make_peer(client)
    knock(peer, HERE)
    shake_hands(peer, client)
    Sessions(folder).save(peer)
    (path,) = folder.iterdir()
    return path


@pytest.mark.parametrize("name", ["../../victim", "/etc/victim", "..", "a\0b", "x" * 300])
def test_a_session_file_names_no_other_file(tmp_path: Path, name: str) -> None:
    """The id is the file's own name, whatever a changed content says."""
    folder = tmp_path / "a" / "sessions"
    folder.mkdir(parents=True)
    path = saved(folder)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"session_id": name}))
    victim = tmp_path / "victim.json"
    victim.write_text("{}")
    sessions = Sessions(folder)
    (loaded,) = sessions.load()
    assert loaded.session_id == path.stem
    sessions.forget(loaded)
    assert victim.exists()
    assert list(folder.iterdir()) == []
