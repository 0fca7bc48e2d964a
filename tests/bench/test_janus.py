import struct

from bench.janus import count_frames


def test_counts_the_packets_of_a_recording() -> None:
    info = b'{"t":"a"}'
    header = b"MJR00002" + struct.pack("!H", len(info)) + info
    frames = b"".join(
        b"MEET" + struct.pack("!IH", time, size) + bytes(size) for time, size in ((0, 80), (20, 3))
    )

    assert count_frames(header) == 0
    assert count_frames(header + frames) == 2
    assert count_frames(header + frames + b"MEET") == 2
