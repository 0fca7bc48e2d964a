"""`encore recording` as an operator runs it: its words, its exit codes, its files."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import sqlalchemy as sa
from rich.console import Console
from typer.testing import CliRunner, Result

from core.db import Database
from core.ids import uuid7
from core.migrate import upgrade
from core.storage import ObjectStore, open_store
from ingest.models import Recording, RecordingStatus
from replay.chain import Fault
from replay.export import FilesInTheWay
from replay.holdings import UnknownRecording
from replay.verification import verify
from tests.core import test_storage_s3
from tests.core.test_storage_s3 import BUCKET, bucket_settings
from tests.replay.afterwards import Over, store_room, two_with_a_pause
from tests.web.test_cli import encore
from web.cli import app
from web.recording_timeline import draw

pytestmark = pytest.mark.slow

moto_endpoint = test_storage_s3.moto_endpoint


@dataclass(frozen=True)
class Operated:
    """A recording in an installation of its own, and its command line."""

    over: Over
    url: str
    folder: Path
    storage: Mapping[str, str]

    @property
    def environment(self) -> dict[str, str]:
        return {"DATABASE_URL": self.url, "COLUMNS": "120", **self.storage}

    def run(self, *arguments: str) -> CompletedProcess[str]:
        return encore(self.folder, *arguments, **self.environment)

    async def encore(self, *arguments: str) -> Result:
        """In this process, which is quicker: on a thread, for the command has its own loop."""
        runner = CliRunner(env=self.environment)
        return await asyncio.to_thread(lambda: runner.invoke(app, list(arguments)))


@asynccontextmanager
async def installation(
    url: str, folder: Path, storage: Mapping[str, str], store: ObjectStore | None = None
) -> AsyncIterator[Operated]:
    await upgrade(url)
    database = Database(url)
    try:
        over = await store_room(
            database, folder, two_with_a_pause, names=("Ada [red]", "Bob"), store=store
        )
        yield Operated(over, url, folder, storage)
    finally:
        await database.close()


@pytest.fixture
async def operated(empty_url: str, tmp_path: Path) -> AsyncIterator[Operated]:
    storage = {"ENCORE_STORAGE_URL": f"file://{tmp_path / 'objects'}"}
    async with installation(empty_url, tmp_path, storage) as operated:
        yield operated


@pytest.fixture
async def in_a_bucket(
    empty_url: str, tmp_path: Path, moto_endpoint: str
) -> AsyncIterator[Operated]:
    """Nothing of the recording lies on the disk."""
    settings = bucket_settings(moto_endpoint, storage_url=f"s3://{BUCKET}/{uuid7().hex}")
    storage = {
        "ENCORE_STORAGE_URL": settings.object_store_url,
        "ENCORE_S3_ENDPOINT_URL": moto_endpoint,
        "ENCORE_S3_ACCESS_KEY_ID": "test",
        "ENCORE_S3_SECRET_ACCESS_KEY": "testtesttest",
    }
    async with installation(empty_url, tmp_path, storage, open_store(settings)) as operated:
        for name in ("data", "scratch"):
            shutil.rmtree(tmp_path / name, ignore_errors=True)
        yield operated


async def test_list_verify_and_export(in_a_bucket: Operated, tmp_path: Path) -> None:
    operated = in_a_bucket
    wanted = str(operated.over.recording_id)
    listed = await operated.encore("recording", "list")
    assert listed.exit_code == 0, listed.output
    line = next(x for x in listed.stdout.splitlines() if x.startswith(wanted))
    assert "0:00:08" in line
    assert " stored " in line

    await operated.over.compact()
    proved = await operated.encore("recording", "verify", wanted)
    assert proved.exit_code == 0, proved.output
    assert "COMPLETE" in proved.stdout
    assert "off the record  everybody" in proved.stdout
    rows = {x[:9].strip(): x for x in proved.stdout.splitlines() if "━" in x}
    assert {"mix", "Ada [red]", "Bob"} <= rows.keys()
    assert rows["Ada [red]"].count("·") == pytest.approx(rows["Ada [red]"].count("━") / 4, abs=3)

    machine = await operated.encore("recording", "verify", wanted, "--json", "--quick")
    body = json.loads(machine.stdout)
    assert (machine.exit_code, body["complete"], body["quick"]) == (0, True, True)

    out = tmp_path / "stems"
    written = await operated.encore(
        "recording", "export", wanted, "--format", "wav", "--out", str(out)
    )
    assert written.exit_code == 0, written.output
    names = ["Ada red.wav", "Bob.wav", "mix.wav", "recording.json"]
    assert sorted(path.name for path in out.iterdir()) == names
    assert written.stdout.splitlines()[-1] == str(out / "recording.json")
    again = await operated.encore(
        "recording", "export", wanted, "--out", str(out), "--format", "wav"
    )
    assert isinstance(again.exception, FilesInTheWay)


async def test_damage_is_named_and_ids_are_asked_for(operated: Operated) -> None:
    wanted = str(operated.over.recording_id)
    segment = (await operated.over.holding()).renditions[0].segments[1]
    await operated.over.store.delete(segment.object_key)
    found = await operated.encore("recording", "verify", wanted)
    assert found.exit_code == 3
    assert "object_missing at 0:00:02: mix segment 1 is missing in the store" in found.stdout
    assert "DAMAGED" in found.stdout
    assert " 1 finding, 0 gaps." in found.stdout
    unknown = await operated.encore("recording", "verify", str(uuid7()))
    assert isinstance(unknown.exception, UnknownRecording)
    refused = await asyncio.to_thread(operated.run, "recording", "verify", "../etc")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "encore: '../etc' is not the ID of a recording.\n"


async def test_what_repeats_is_one_line_with_the_speakers_name(operated: Operated) -> None:
    await operated.over.compact()
    await operated.over.sweep()
    track = (await operated.over.holding()).renditions[1]
    assert track.row.object_key is not None
    await operated.over.store.delete(track.row.object_key)
    found = await operated.encore("recording", "verify", str(operated.over.recording_id))
    assert found.exit_code == 3
    named = [line for line in found.stdout.splitlines() if "object_missing" in line]
    assert len(named) == 1
    assert "Ada [red] init segment is missing in the store (and" in named[0]
    assert "track-" not in found.stdout


async def test_a_live_recording_is_not_called_damaged(operated: Operated) -> None:
    async with operated.over.database.transaction() as session:
        row = sa.update(Recording).where(Recording.id == operated.over.recording_id)
        await session.execute(row.values(status=RecordingStatus.LIVE, media_samples=None))
    found = await operated.encore("recording", "verify", str(operated.over.recording_id))
    listed = await operated.encore("recording", "list", "--json")
    row = next(x for x in json.loads(listed.stdout) if x["state"] == "live")
    assert (row["recording_id"], row["media_ms"]) == (str(operated.over.recording_id), None)
    assert "0:00:00" not in (await operated.encore("recording", "list")).stdout
    assert found.exit_code == 2
    assert "LIVE: not finished. So far 3 renditions" in found.stdout
    assert "DAMAGED" not in found.stdout


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_a_store_or_a_place_that_is_not_there_is_one_line(
    operated: Operated, tmp_path: Path
) -> None:
    wanted = str(operated.over.recording_id)
    out = str(tmp_path / "file" / "stems")
    (tmp_path / "file").touch()
    refused = await asyncio.to_thread(operated.run, "recording", "export", wanted, "--out", out)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1), refused.stderr
    objects = tmp_path / "objects"
    objects.rename(tmp_path / "away")
    for command in ("verify", "export"):
        away = await asyncio.to_thread(operated.run, "recording", command, wanted)
        assert (away.returncode, away.stdout) == (2, "")
        line = f"encore: file://{objects}: The folder of the object store is not there\n"
        assert away.stderr == line
    assert not names_in(tmp_path) & {"objects", f"recording-{wanted}"}


async def test_the_drawing_fits_and_shows_damage(operated: Operated) -> None:
    holding = await operated.over.holding()
    report = await verify(operated.over.store, holding)
    report.findings.append(Fault("bytes_differ", "[bold]", "mix", 9_900.0, 10_000.0))
    console = Console(width=60, record=True)
    draw(console, holding, report)
    text = console.export_text()
    bars = [line for line in text.splitlines() if "━" in line and "recorded" not in line]
    assert all(len(line) <= 60 for line in bars)
    assert [line.endswith("✗") for line in bars] == [True, False, False]
    assert "bytes_differ at 0:00:10: [bold]" in text
