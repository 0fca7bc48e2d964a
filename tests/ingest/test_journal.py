"""The journal's invariant: what was written whole is read back, whatever follows it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.journal import (
    LONGEST_AGE,
    MAGIC,
    Batch,
    Event,
    JournalReader,
    Packet,
    RawBatch,
    journal_files,
    next_journal_file,
    pack_batch,
    pack_event,
)
from tests.ingest.packing import pack_packet

packets = st.builds(
    Packet,
    stream=st.integers(0, 0xFFFF),
    seq=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    level=st.integers(0, 255),
    payload=st.binary(max_size=60),
    age=st.integers(0, LONGEST_AGE),
)
events = st.builds(
    Event,
    kind=st.text(min_size=1, max_size=20),
    data=st.dictionaries(
        st.text(max_size=8).filter(lambda k: k != "kind"),
        st.integers() | st.text(max_size=20),
        max_size=3,
    ),
)
batches = st.lists(
    st.builds(
        Batch,
        room_us=st.integers(-(2**62), 2**62),
        records=st.lists(packets | events, min_size=1, max_size=3),
    ),
    max_size=4,
)


def pack(batch: Batch) -> bytes:
    records = [pack_packet(r) if isinstance(r, Packet) else pack_event(r) for r in batch.records]
    return pack_batch(batch.room_us, records)


@contextmanager
def reading(folder: Path, data: bytes) -> Iterator[JournalReader]:
    path = folder / "00000001.journal"
    path.write_bytes(data)
    reader = JournalReader(path)
    yield reader
    reader.close()


@settings(deadline=None)
@given(batches)
def test_reads_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, written: list[Batch]
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    with reading(folder, MAGIC + b"".join(map(pack, written))) as reader:
        assert reader.read() == written


@given(packets)
def test_packets_of_before_ages_were_told_arrived_with_their_batch(packet: Packet) -> None:
    record = b"\1" + pack_packet(packet)[1:]
    assert RawBatch(7, record, 0, len(record)).unpacked().records == [packet._replace(age=0)]


@settings(deadline=None)
@given(batches, st.data())
def test_a_torn_end_costs_only_the_torn_batch(
    tmp_path_factory: pytest.TempPathFactory, written: list[Batch], data: st.DataObject
) -> None:
    parts = [MAGIC, *map(pack, written)]
    whole = b"".join(parts)
    cut = data.draw(st.integers(0, len(whole)))
    sizes = [sum(map(len, parts[: n + 1])) for n in range(len(parts))]
    survivors = sum(size <= cut for size in sizes[1:])
    with reading(tmp_path_factory.mktemp("journal"), whole[:cut]) as reader:
        assert reader.read() == written[:survivors]
        with reader.path.open("ab") as file:
            file.write(whole[cut:])
        assert reader.read() == written[survivors:], "the rest is read when it arrives"


def test_a_flipped_bit_ends_the_readable_part(tmp_path: Path) -> None:
    good = Batch(1, [Packet(1, 2, 3, 4, b"good")])
    bad = bytearray(pack(Batch(2, [Packet(1, 3, 4, 5, b"bad")])))
    bad[-1] ^= 1
    with reading(tmp_path, MAGIC + pack(good) + bytes(bad)) as reader:
        assert reader.read() == [good]


def test_a_foreign_file_is_empty(tmp_path: Path) -> None:
    with reading(tmp_path, b"something else entirely") as reader:
        assert reader.read() == []


def test_long_journals_are_read_in_pieces(tmp_path: Path) -> None:
    written = [Batch(n, [Packet(1, n, n, 0, bytes(900))]) for n in range(200)]
    read: list[Batch] = []
    with reading(tmp_path, MAGIC + b"".join(map(pack, written))) as reader:
        while piece := reader.read(limit=10_000):
            assert len(piece) < 20
            read += piece
    assert read == written


def test_files_are_numbered_by_run(tmp_path: Path) -> None:
    for _ in range(3):
        next_journal_file(tmp_path).touch()
    assert [p.name for p in journal_files(tmp_path)] == [
        "00000001.journal",
        "00000002.journal",
        "00000003.journal",
    ]
