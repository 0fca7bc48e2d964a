"""Playlists of any room that can be: every version against the MUSTs, every delta applied."""

from datetime import datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.hls import (
    DATED_EVERY,
    WINDOW_SEGMENTS,
    MediaPlaylist,
    MediaSegment,
    Variant,
    master_playlist,
    program_date_time,
)
from tests.replay.playlist_rules import (
    apply_delta,
    check_master,
    check_media,
    check_update,
    parse,
)

LIVE_AT_US = 1_795_000_000_123_456
FULL = 96_256
"""94 AAC frames: what a 2 s segment of the mix holds."""
quick = settings(max_examples=50, deadline=None)


@st.composite
def rooms(draw: st.DrawFn) -> list[MediaSegment]:
    """Segments with pauses (short last one, jump of the room's clock, discontinuity)."""
    segments: list[MediaSegment] = []
    room_ms = draw(st.floats(0, 5000))
    first = draw(st.booleans())
    for number in range(draw(st.integers(1, 60))):
        pause = draw(st.sampled_from([False, False, False, False, True]))
        samples = draw(st.integers(1, 93)) * 1024 if pause else FULL
        broken = first if number == 0 else segments[-1].samples != FULL
        if broken:
            room_ms += draw(st.floats(1, 600_000))
        segments.append(MediaSegment(f"r1/mix/{number}.m4s", samples, room_ms, broken))
        room_ms += samples / 48 + draw(st.floats(-0.3, 0.3))
    return segments


def playlist_of(segments: list[MediaSegment]) -> MediaPlaylist:
    playlist = MediaPlaylist(init_uri="r1/mix/init.mp4", live_at_us=LIVE_AT_US, target_s=2)
    for segment in segments:
        playlist.append(segment)
    return playlist


@quick
@given(rooms())
def test_every_version_of_both_playlists_follows_the_one_before(
    segments: list[MediaSegment],
) -> None:
    playlist = playlist_of(segments[:1])
    window, index = playlist.render_window(ended=False), playlist.render(ended=False)
    for segment in segments[1:]:
        playlist.append(segment)
        check_update(window, window := playlist.render_window(ended=False))
        check_update(index, index := playlist.render(ended=False))
    check_update(window, playlist.render_window(ended=True))
    check_update(index, playlist.render(ended=True))


@quick
@given(rooms(), st.integers(1, 60), st.integers(0, 60))
def test_a_delta_on_the_version_held_gives_the_new_one(
    segments: list[MediaSegment], held_count: int, known: int
) -> None:
    held_count = min(held_count, len(segments))
    held = playlist_of(segments[:held_count]).render(ended=False)
    playlist = playlist_of(segments)
    skip = playlist.skippable(min(known, held_count))
    assert skip <= held_count
    if skip:
        delta = playlist.render(ended=False, skip=skip)
        assert apply_delta(held, delta) == playlist.render(ended=False)


@quick
@given(rooms())
def test_every_position_maps_to_the_room_clock_within_two_milliseconds(
    segments: list[MediaSegment],
) -> None:
    playlist = playlist_of(segments)
    for text in (playlist.render(ended=True), playlist.render_window(ended=False)):
        listed = parse(text)
        for position in range(len(listed.uris)):
            room_ms = segments[listed.first + position].room_start_ms
            placed_us = listed.place_of(position).timestamp() * 1e6
            assert abs(placed_us - LIVE_AT_US - room_ms * 1000) < 2000


def test_the_sliding_window_is_short_and_the_list_from_the_start_whole() -> None:
    playlist = playlist_of(
        [MediaSegment(f"r1/mix/{n}.m4s", FULL, n * FULL / 48) for n in range(100)]
    )
    window, index = (
        check_media(playlist.render_window(ended=False)),
        check_media(playlist.render(ended=False)),
    )
    assert (window.first, len(window.uris)) == (100 - WINDOW_SEGMENTS, WINDOW_SEGMENTS)
    assert all(window.dates)
    assert (index.first, len(index.uris)) == (0, 100)
    assert [n for n, date in enumerate(index.dates) if date] == list(range(0, 100, DATED_EVERY))
    assert index.durations[0] == round(FULL / 48_000, 6)
    assert not index.ended
    assert check_media(playlist.render(ended=True)).ended


def test_a_delta_update_of_two_hours_is_short() -> None:
    playlist = playlist_of(
        [MediaSegment(f"r1/mix/{n}.m4s", FULL, n * FULL / 48) for n in range(3600)]
    )
    skip = playlist.skippable(3600)
    delta = playlist.render(ended=False, skip=skip)
    assert 3600 - 13 - DATED_EVERY < skip <= 3600 - 12
    assert len(delta) < 1500
    assert len(playlist.render(ended=False)) > 100_000
    assert apply_delta(playlist.render(ended=False), delta) == playlist.render(ended=False)


def test_what_clients_cannot_know_is_not_skipped() -> None:
    playlist = playlist_of(
        [MediaSegment(f"r1/mix/{n}.m4s", FULL, n * FULL / 48) for n in range(100)]
    )
    assert playlist.skippable(0) == 0
    assert playlist.skippable(17) == 16
    assert playlist.skippable(100) == 88 - 88 % DATED_EVERY


def test_a_pause_is_a_discontinuity_and_keeps_its_number_when_the_window_slides() -> None:
    segments = [
        MediaSegment(f"r1/mix/{n}.m4s", FULL, n * 2005.0 + (n >= 4) * 60_000, n == 4)
        for n in range(4 + 2 * WINDOW_SEGMENTS)
    ]
    numbers: dict[str, int] = {}
    for count in range(1, len(segments) + 1):
        listed = check_media(playlist_of(segments[:count]).render_window(ended=False))
        for uri, number in zip(listed.uris, listed.discontinuity_numbers, strict=True):
            assert numbers.setdefault(uri, number) == number
    assert numbers["r1/mix/3.m4s"] == 0
    assert numbers["r1/mix/4.m4s"] == 1


def test_a_recording_that_begins_late_has_no_discontinuity_before_its_first_segment() -> None:
    playlist = playlist_of([MediaSegment("r1/mix/0.m4s", FULL, 90_000.0, discontinuity=True)])
    assert "DISCONTINUITY\n" not in playlist.render(ended=False)
    assert check_media(playlist.render_window(ended=False)).discontinuity_numbers == [0]


def test_a_segment_that_is_too_long_raises_the_target_rather_than_break_it() -> None:
    playlist = playlist_of([MediaSegment("r1/mix/0.m4s", 144_000, 0.0)])
    assert check_media(playlist.render(ended=False)).target == 3


@quick
@given(st.floats(0, 36_000_000))
def test_program_date_time_is_the_room_clock_to_the_millisecond(room_ms: float) -> None:
    date = datetime.fromisoformat(program_date_time(LIVE_AT_US, room_ms))
    assert abs(date.timestamp() * 1e6 - LIVE_AT_US - room_ms * 1000) <= 501


def test_the_master_playlist_lists_the_mix() -> None:
    text = master_playlist([Variant("index.m3u8", "mp4a.40.2", 80_000, 66_000)])
    assert check_master(text) == {
        "index.m3u8": {
            "BANDWIDTH": "80000",
            "AVERAGE-BANDWIDTH": "66000",
            "CODECS": "mp4a.40.2",
        }
    }
