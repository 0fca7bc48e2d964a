"""Settings that would start, and then send everybody to nowhere."""

import pytest
from pydantic import ValidationError

from core.settings import PublicUrlMissing, Settings, TurnSecretMissing


def settings(**values: str) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[arg-type]  # strings only


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])  # noqa: S104
@pytest.mark.parametrize("name", ["web", "edge", "ingest"])
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
    shown = f"[{host}]" if ":" in host else host
    assert settings(web_host=host).public_web_url == f"http://{shown}:8000"
    assert settings(edge_host=host).public_edge_url == f"http://{shown}:8001"
    assert settings(ingest_host=host).public_ingest_url == f"http://{shown}:8002"


def test_lists_are_given_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENCORE_INGEST_PUBLIC_ADDRESS", "192.0.2.4, [2001:db8::4]:40000")
    monkeypatch.setenv("ENCORE_TURN_URLS", '["turn:turn.example.org?transport=tcp"]')
    monkeypatch.setenv("ENCORE_TURN_SECRET", "secret")
    given = Settings(_env_file=None)
    assert given.ingest_public_address == ("192.0.2.4", "[2001:db8::4]:40000")
    assert given.turn_urls == ("turn:turn.example.org?transport=tcp",)


@pytest.mark.parametrize(
    "url", ["https://turn.example.org", 'turn:a>; rel="x', "turn:a\nb", "turn:"]
)
def test_a_relay_is_a_turn_url(url: str) -> None:
    with pytest.raises(ValidationError, match="turn:host:port"):
        settings(turn_urls=url, turn_secret="secret")


@pytest.mark.parametrize(
    "origin",
    ["ingest.example.org", "https://a.example/whip", "https://a; script-src *", "https://*", "*"],
)
def test_a_worker_is_named_by_its_origin(origin: str) -> None:
    with pytest.raises(ValidationError, match="not of the form"):
        settings(ingest_origins=origin)


def test_a_relay_needs_its_secret() -> None:
    with pytest.raises(TurnSecretMissing, match="ENCORE_TURN_SECRET"):
        settings(turn_urls="turns:turn.example.org")


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="no host"):
        settings(ingest_public_address="192.0.2.4, http://example.org")
