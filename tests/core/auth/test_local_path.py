"""Where a sign-in may lead back to."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.auth.oidc_api import local_path

GOALS = [
    ("/", "/"),
    ("/rooms/1?a=b#c", "/rooms/1?a=b#c"),
    ("", "/"),
    ("rooms", "/"),
    ("//evil.example", "/"),
    ("/\\evil.example", "/"),
    ("/a\\b", "/"),
    ("/\t/evil.example", "/"),
    ("/\n/evil.example", "/"),
    ("https://evil.example", "/"),
    ("javascript:alert(1)", "/"),
    ("\x00/", "/"),
]


@pytest.mark.parametrize(("goal", "path"), GOALS)
def test_only_paths_of_this_site(goal: str, path: str) -> None:
    assert local_path(goal) == path


@hypothesis_settings(deadline=None)
@given(st.text(alphabet="/\\:@.aé \t\n?#", max_size=12))
def test_no_goal_leaves_the_site(goal: str) -> None:
    parts = urlsplit(local_path(goal))
    assert (parts.scheme, parts.netloc) == ("", "")
