from bench.growth import Run, Use, spread
from bench.ingest import BRIDGE, OURS_ROOM, OURS_TRACKS, VIDEO, numbers, rooms_table, tracks_table


def run_of(*cpu: float, steps: tuple[int, ...] = (20, 100, 400), lost: int = 0) -> Run:
    uses = {tracks: Use(share, 0.0001) for tracks, share in zip(steps, cpu, strict=True)}
    return Run(uses=uses, sent=1000, kept=1000 - lost, profile="SRTP_AEAD_AES_256_GCM")


def rooms_run(cpu: float) -> Run:
    return run_of(cpu, steps=(30,))


RUNS = {
    OURS_TRACKS: [run_of(0.003, 0.002, share) for share in (0.0005, 0.0006, 0.9)],
    VIDEO: [run_of(0.003, 0.002, 0.0012)] * 3,
    OURS_ROOM: [rooms_run(0.003)] * 3,
    BRIDGE: [rooms_run(0.02)] * 3,
}


def test_ratios_are_of_medians_at_the_most_tracks() -> None:
    assert numbers(RUNS) == {
        "ingest_track_vs_janus_videoroom": 0.5,
        "room_vs_janus_audiobridge": 0.15,
        "ingest_lost_packets": 0,
    }


def test_without_the_peer_its_ratios_are_left_out() -> None:
    alone = {name: RUNS[name] for name in (OURS_TRACKS, OURS_ROOM)}

    assert numbers(alone) == {"ingest_lost_packets": 0}
    assert "Janus" not in tracks_table(alone) + rooms_table(alone)


def test_packets_lost_in_any_run_count() -> None:
    runs = {**RUNS, OURS_TRACKS: [run_of(1, 1, 1), run_of(1, 1, 1, lost=7)]}

    assert numbers(runs)["ingest_lost_packets"] == 7


def test_a_room_is_ten_tracks() -> None:
    assert rooms_table(RUNS).splitlines()[2].split("|")[2].strip() == "3"


def test_rooms_are_spread_evenly_however_many_there_are() -> None:
    assert [spread(number) for number in range(4)] == [0, 15, 7.5, 22.5]
