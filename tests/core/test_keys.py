import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.keys import MIN_SECRET_BYTES, SecretTooShort, derive_key, load_secret
from core.settings import Settings


def test_is_made_once_and_read_by_all(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "new")
    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(lambda _: load_secret(settings), range(32)))
    assert len(secrets) == 1
    assert len(secrets.pop()) >= 32


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    load_secret(Settings(data_dir=tmp_path))
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["secret_key"]


def test_the_setting_wins(tmp_path: Path) -> None:
    given = "from the environment, 32 or more"
    settings = Settings(data_dir=tmp_path, secret_key=SecretStr(given))
    assert load_secret(settings) == given.encode()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("secret", ["", "secret", "x" * (MIN_SECRET_BYTES - 1)])
def test_a_secret_that_can_be_guessed_is_refused(tmp_path: Path, secret: str) -> None:
    with pytest.raises(SecretTooShort):
        load_secret(Settings(data_dir=tmp_path, secret_key=SecretStr(secret)))


def test_purposes_do_not_share_keys() -> None:
    keys = {derive_key(b"secret", purpose) for purpose in ("room-token", "capability", "mail")}
    assert len(keys) == 3
    assert all(len(key) == 32 for key in keys)
    assert derive_key(b"secret", "mail") != derive_key(b"other", "mail")
