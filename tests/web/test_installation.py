"""A second machine that was told otherwise than the first: one line, exit code 2."""

from pathlib import Path

import pytest

from core.db import Database
from core.ids import uuid7
from core.installation import check_installation
from core.migrate import upgrade
from core.settings import Settings
from tests.web.test_cli import encore


@pytest.mark.slow
async def test_a_machine_with_another_secret_or_store_is_refused(
    tmp_path: Path, empty_url: str
) -> None:
    for store in ("store", "own"):
        (tmp_path / store).mkdir()
    await upgrade(empty_url)
    shared = {
        "DATABASE_URL": empty_url,
        "ENCORE_SECRET_KEY": "s" * 32,
        "ENCORE_STORAGE_URL": f"file://{tmp_path / 'store'}",
    }
    settings = Settings.model_validate(
        {"secret_key": shared["ENCORE_SECRET_KEY"], "storage_url": shared["ENCORE_STORAGE_URL"]}
    )
    database = Database(empty_url)
    await check_installation(settings, database)
    await database.close()
    other_store = {"ENCORE_STORAGE_URL": f"file://{tmp_path / 'own'}"}
    other_secret = {"ENCORE_SECRET_KEY": "o" * 32}
    for command, change, says in (
        (["work"], other_secret, "ENCORE_SECRET_KEY is not the one of the others"),
        (["process", "work", "--unsupervised"], other_store, "ENCORE_STORAGE_URL"),
    ):
        done = encore(tmp_path, *command, **{**shared, **change})
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert says in done.stderr
    recording = str(uuid7())
    for asked in ("verify", "export"):
        lies_elsewhere = encore(
            tmp_path, "recording", asked, recording, **{**shared, **other_store}
        )
        assert (lies_elsewhere.returncode, lies_elsewhere.stderr.count("\n")) == (2, 1)
        assert "names another store than that of the others" in lies_elsewhere.stderr
    doctor = encore(tmp_path, "doctor", **{**shared, **other_store}).stdout
    storage = next(line for line in doctor.splitlines() if " storage " in line)
    assert storage.startswith("FIX")
    assert "names another store" in storage
    adopted = encore(tmp_path, "db", "adopt", **{**shared, **other_store})
    assert adopted.returncode == 0, adopted.stderr
    refused = encore(tmp_path, "work", **shared)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
