from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.transcripts.sounds import noise, silence
from transcripts.packing import (
    GAP_MS,
    LEVEL_MS,
    WINDOW_MS,
    Layout,
    levels,
    pack,
    split,
)
from transcripts.words import Span

Steps = st.lists(st.tuples(st.integers(0, 60_000), st.integers(1, WINDOW_MS)), min_size=1)


def spans(steps: list[tuple[int, int]]) -> list[Span]:
    """Each (silence before it, its length)."""
    found, at = [], 0
    for silence_ms, length_ms in steps:
        found.append(Span(at + silence_ms, at + silence_ms + length_ms))
        at = found[-1].end_ms
    return found


@given(Steps)
def test_windows_hold_every_region_in_order_and_no_more_than_fits(
    steps: list[tuple[int, int]],
) -> None:
    regions = spans(steps)
    windows = pack(regions)
    assert [region for window in windows for region in window] == regions
    assert all(Layout(window).duration_ms <= WINDOW_MS for window in windows)
    assert len(windows) == greedy(regions)


def greedy(regions: list[Span]) -> int:
    """How many windows are needed: filling each as far as it goes is never worse."""
    count, length_ms = 0, WINDOW_MS
    for region in regions:
        length_ms += GAP_MS + region.duration_ms
        if length_ms > WINDOW_MS:
            count, length_ms = count + 1, region.duration_ms
    return count


def test_windows_part_where_the_longest_silence_is() -> None:
    regions = spans([(0, 9000), (200, 9000), (5000, 9000), (200, 9000), (200, 9000)])
    assert [len(window) for window in pack(regions)] == [2, 3]


def to_track(layout: Layout, window_ms: float) -> int:
    return layout.within(layout.nearest(window_ms), window_ms)


@given(Steps, st.lists(st.floats(-1000, 40_000), min_size=2))
def test_time_in_a_window_maps_back_in_order_into_its_regions(
    steps: list[tuple[int, int]], moments: list[float]
) -> None:
    layout = Layout(pack(spans(steps))[0])
    mapped = [to_track(layout, moment) for moment in sorted(moments)]
    assert mapped == sorted(mapped)
    for moment in mapped:
        assert any(region.start_ms <= moment <= region.end_ms for region in layout.regions)


@given(Steps)
def test_every_moment_of_a_region_comes_back(steps: list[tuple[int, int]]) -> None:
    layout = Layout(pack(spans(steps))[0])
    for offset_ms, region in zip(layout.offsets_ms, layout.regions, strict=True):
        for at in (0, region.duration_ms // 2, region.duration_ms):
            assert to_track(layout, offset_ms + at) == region.start_ms + at


def test_a_window_sounds_like_its_regions_with_silence_between() -> None:
    track = noise(10.0)
    layout = Layout((Span(1000, 2000), Span(5000, 5500)))
    window = layout.assemble([track[16_000:32_000], track[80_000:88_000]])
    gap = 16 * GAP_MS
    assert window.size == 16 * layout.duration_ms == 16_000 + gap + 8000
    assert np.array_equal(window[:16_000], track[16_000:32_000])
    assert not window[16_000 : 16_000 + gap].any()
    assert np.array_equal(window[-8000:], track[80_000:88_000])


def test_sound_that_the_track_has_no_more_of_is_silence() -> None:
    window = Layout((Span(0, 100), Span(200, 300))).assemble([noise(0.1), noise(0.05)])
    assert window.size == 16 * (200 + GAP_MS)
    assert not window[-16 * 50 :].any()


@given(st.integers(0, 5000), st.integers(1, 200_000), st.integers(0, 99))
def test_pieces_of_an_overlong_region_are_all_of_it(
    start_ms: int, length_ms: int, seed: int
) -> None:
    region = Span(start_ms, start_ms + length_ms)
    track = np.random.default_rng(seed).normal(-30, 5, region.end_ms // LEVEL_MS + 1)
    pieces = split(region, track.astype(np.float32))
    assert (pieces[0].start_ms, pieces[-1].end_ms) == region
    assert all(0 < piece.duration_ms <= WINDOW_MS for piece in pieces)
    assert all(before.end_ms == after.start_ms for before, after in pairwise(pieces))
    assert all(2 * piece.duration_ms >= WINDOW_MS - LEVEL_MS for piece in pieces[:-1])


def test_who_talks_on_is_cut_in_the_pause() -> None:
    track = np.concatenate([noise(20.0), silence(0.3), noise(25.0)])
    first, second = split(Span(0, 45_300), levels(track))
    assert first == Span(0, second.start_ms)
    assert 20_000 < second.start_ms < 20_300


def test_levels_are_decibels_of_full_scale() -> None:
    half = np.full(16 * LEVEL_MS * 2, 0.5, np.float32)
    assert np.allclose(levels(half), -6.02, atol=0.01)
    assert levels(half[:1]).shape == (1,)
    assert levels(silence(0)).size == 0
    assert levels(silence(1)).max() <= -120
