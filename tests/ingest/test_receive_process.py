"""Around the process: its lock, its addresses, its memory of rooms, its metrics."""

import asyncio
from pathlib import Path
from uuid import UUID

import pytest
from prometheus_client import REGISTRY

from core.errors import Problem
from core.settings import Settings
from ingest.known_rooms import KnownRooms, boot_id
from ingest.placement import Placement
from ingest.public_address import NoPublicAddress, public_addresses
from ingest.receive import DataDirInUse, only_one, run
from ingest.receive_metrics import ReceiveMetrics
from ingest.receiver import Receiver
from ingest.sessions import Sessions
from tests.ingest.packing import pack_packet
from tests.ingest.test_live_room import ADA, open_room, speaker, stage
from tests.ingest.test_recorder import PACKET, disk_of

PLACEMENT = Placement(UUID(int=7), 3, 1)


def test_one_process_per_folder(tmp_path: Path) -> None:
    with only_one(tmp_path / "data"):
        with pytest.raises(DataDirInUse, match="data"), only_one(tmp_path / "data"):
            pass
        with only_one(tmp_path / "other"):
            pass
    with only_one(tmp_path / "data"):
        pass


async def test_speakers_are_told_addresses_that_they_can_reach() -> None:
    def settings(**values: str) -> Settings:
        return Settings(_env_file=None, **values)  # type: ignore[arg-type]  # strings only

    assert await public_addresses(settings()) == [("127.0.0.1", 0)]
    public = settings(ingest_udp_host="0.0.0.0", ingest_public_address="192.0.2.4")  # noqa: S104
    assert await public_addresses(public) == [("192.0.2.4", 0)]
    several = "192.0.2.4:40000, 2001:db8::4, [2001:db8::5]:40001, 127.0.0.1"
    mapped = settings(ingest_udp_host="::", ingest_public_address=several)
    assert await public_addresses(mapped) == [
        ("192.0.2.4", 40_000),
        ("2001:db8::4", 0),
        ("2001:db8::5", 40_001),
        ("127.0.0.1", 0),
    ]
    for wildcard in ("0.0.0.0", "::"):  # noqa: S104
        with pytest.raises(NoPublicAddress, match="ENCORE_INGEST_PUBLIC_ADDRESS"):
            await public_addresses(settings(ingest_udp_host=wildcard))


async def test_without_a_database_url_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="ENCORE_DATABASE_URL"):
        await run(Settings(_env_file=None, data_dir=tmp_path, database_url=None), asyncio.Event())


def test_a_known_room_comes_back_on_the_same_boot(tmp_path: Path) -> None:
    now = stage(speaker(ADA))
    rooms = KnownRooms(tmp_path / "stages")
    rooms.save(now, PLACEMENT, 123)
    (path,) = (tmp_path / "stages").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert rooms.room_ids() == [now.room_id]
    known = KnownRooms(tmp_path / "stages").load(now.room_id)
    assert known is not None
    assert (known.stage, known.placement, known.zero_us) == (now, PLACEMENT, 123)
    path.write_text(path.read_text().replace(boot_id(), "another boot"))
    assert rooms.load(now.room_id) is None
    path.write_text("torn")
    assert rooms.load(now.room_id) is None
    rooms.forget(now.room_id)
    rooms.forget(now.room_id)
    assert rooms.room_ids() == []


def test_a_full_disk_costs_only_the_memory(tmp_path: Path) -> None:
    rooms = KnownRooms(tmp_path)
    with disk_of(0):
        rooms.save(stage(), PLACEMENT, 1)
    assert rooms.room_ids() == []


async def test_metrics_count_packets_of_closed_rooms_too(tmp_path: Path) -> None:
    def written() -> float:
        labels = {"kind": "written"}
        return REGISTRY.get_sample_value("encore_ingest_journal_packets_total", labels) or 0

    receiver = Receiver("127.0.0.1", 0, [("127.0.0.1", 0)], Sessions(tmp_path / "s"))
    room = open_room(tmp_path / "j", stage(speaker(ADA)))
    receiver.rooms[room.room_id] = room
    metrics, before = ReceiveMetrics(), written()
    for _ in range(3):
        room.recorder.keep(pack_packet(PACKET))
    room.recorder.flush()
    metrics.observe(receiver)
    assert written() == before + 3
    assert REGISTRY.get_sample_value("encore_ingest_rooms") == 1
    assert receiver.close_room(room.room_id)
    metrics.observe(receiver)
    assert written() == before + 3
    assert REGISTRY.get_sample_value("encore_ingest_rooms") == 0
    receiver.close()
