"""Settings that would start, and then send everybody to nowhere."""

import pytest

from core.settings import PublicUrlMissing, Settings


def settings(**values: str) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[arg-type]  # strings only


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])  # noqa: S104
@pytest.mark.parametrize("name", ["edge", "ingest"])
def test_a_wildcard_needs_a_public_url(name: str, host: str) -> None:
    with pytest.raises(PublicUrlMissing, match=f"ENCORE_{name.upper()}_URL") as refused:
        settings(**{f"{name}_host": host})
    assert refused.value.code == "public_url_missing"
    assert "\n" not in refused.value.detail
    with pytest.raises(PublicUrlMissing):
        settings(**{f"{name}_host": host, f"{name}_url": ""})
    given = settings(**{f"{name}_host": host, f"{name}_url": "https://audio.example.org/"})
    assert getattr(given, f"public_{name}_url") == "https://audio.example.org"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "192.0.2.4", "audio.example.org"])
def test_an_address_or_a_name_is_its_own_url(host: str) -> None:
    assert settings(edge_host=host).public_edge_url
    assert settings(ingest_host=host).public_ingest_url
