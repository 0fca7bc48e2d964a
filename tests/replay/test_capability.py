"""Capabilities: who may not read, and for how long one may."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import Problem
from replay.capability import (
    CapabilityExpired,
    CapabilityInvalid,
    capability_key,
    check,
    issue,
)

KEY = capability_key(b"s" * 32)
RECORDING = UUID("0190f000-0000-7000-8000-000000000001")
times = st.datetimes(datetime(2026, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants naive bounds
quick = settings(max_examples=50, deadline=None)


@quick
@given(times)
def test_it_is_valid_for_one_to_two_hours_and_then_expired(at: datetime) -> None:
    capability = issue(KEY, RECORDING, at=at)
    assert timedelta(hours=1) < capability.expires_at - at <= timedelta(hours=2)
    expires = capability.expires_at.timestamp()
    for now in (at.timestamp(), expires - 0.001):
        assert check(KEY, capability.token, RECORDING, now=now) == expires
    with pytest.raises(CapabilityExpired):
        check(KEY, capability.token, RECORDING, now=expires)


@quick
@given(st.integers(0, 3599), st.integers(0, 3599))
def test_all_who_ask_within_an_hour_get_the_same_path(first: int, second: int) -> None:
    hour = datetime(2026, 11, 21, 21, tzinfo=UTC)
    one, other = (
        issue(KEY, RECORDING, at=hour + timedelta(seconds=s)).token for s in (first, second)
    )
    assert one == other
    assert one != issue(KEY, RECORDING, at=hour + timedelta(hours=1)).token


def test_it_opens_no_other_recording_and_no_other_installation() -> None:
    at = datetime(2026, 11, 21, 21, tzinfo=UTC)
    token = issue(KEY, RECORDING, at=at).token
    with pytest.raises(CapabilityInvalid):
        check(KEY, token, uuid4(), now=at.timestamp())
    with pytest.raises(CapabilityInvalid):
        check(capability_key(b"t" * 32), token, RECORDING, now=at.timestamp())


@quick
@given(st.data())
def test_a_changed_letter_is_refused(data: st.DataObject) -> None:
    at = datetime(2026, 11, 21, 21, tzinfo=UTC)
    token = issue(KEY, RECORDING, at=at).token
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.characters().filter(lambda c: c != token[place]))
    forged = token[:place] + letter + token[place + 1 :]
    with pytest.raises(CapabilityInvalid):
        check(KEY, forged, RECORDING, now=at.timestamp())


@quick
@given(st.text(max_size=100))
def test_anything_else_is_refused_as_a_problem(token: str) -> None:
    with pytest.raises(Problem) as refused:
        check(KEY, token, RECORDING, now=0)
    assert refused.value.status == 403
    assert "listen" in refused.value.detail
