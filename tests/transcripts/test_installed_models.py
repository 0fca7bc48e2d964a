"""Models on this machine: whole, damaged, missing, fetched; what is said of each."""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.settings import Settings
from tests.transcripts.fake_hub import serving
from transcripts.hub import ModelNotFetched, ModelUnknown, fetch, obtain
from transcripts.installed_models import (
    BUNDLED,
    BUNDLED_DIGEST,
    PARTS,
    ModelDamaged,
    ModelMissing,
    bundled_folder,
    installed,
    locate,
    prove,
)

WEIGHTS = bytes(range(256)) * 400
MODEL = {
    "model.bin": WEIGHTS,
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "vocabulary.json": b"[]",
    "README.md": b"not wanted",
}
NAME = "someone/faster-whisper-small-it"


def no_progress(done: int, total: int) -> None:
    raise AssertionError("nothing is to be downloaded")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with serving({NAME: MODEL, "someone/words": {"README.md": b"no model"}}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model's files, as an operator puts them somewhere."""
    place = tmp_path / "ours"
    place.mkdir()
    for file, content in MODEL.items():
        (place / file).write_bytes(content)
    return place


def test_a_folder_is_a_model_when_nothing_is_missing(folder: Path, tmp_path: Path) -> None:
    model = locate(str(folder), tmp_path / "models")
    assert model.digest == hashlib.sha256(WEIGHTS).hexdigest()
    assert model.folder == folder
    for file in ("model.bin", "tokenizer.json", "vocabulary.json"):
        kept = (folder / file).read_bytes()
        (folder / file).unlink()
        with pytest.raises(ModelMissing, match=r"lacks (model.bin|tokenizer.json|vocabulary.txt)"):
            locate(str(folder), tmp_path / "models")
        (folder / file).write_bytes(kept)


def test_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"lacks model\.bin, config\.json"):
        obtain(str(tmp_path / "nowhere"), tmp_path / "models", no_progress)


def test_other_weights_in_a_folder_have_another_digest(folder: Path, tmp_path: Path) -> None:
    before = locate(str(folder), tmp_path / "models")
    (folder / "model.bin").write_bytes(WEIGHTS[::-1] + b"more")
    assert locate(str(folder), tmp_path / "models").digest != before.digest


def test_weights_are_hashed_once(folder: Path, tmp_path: Path) -> None:
    locate(str(folder), tmp_path / "models")
    (memo,) = (tmp_path / "models" / "digests").iterdir()
    memo.write_text("what it was")
    assert locate(str(folder), tmp_path / "models").digest == "what it was"


@pytest.mark.usefixtures("hub")
def test_a_model_of_the_hub_is_fetched_with_progress(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    model = fetch(NAME, tmp_path, lambda done, total: told.append((done, total)))
    wanted = sum(len(content) for file, content in MODEL.items() if file != "README.md")
    assert told[-1] == (wanted, wanted)
    assert model.digest == hashlib.sha256(WEIGHTS).hexdigest()
    assert model.bytes == wanted
    assert not (model.folder / "README.md").exists()
    assert installed(tmp_path) == [NAME]
    assert obtain(NAME, tmp_path, no_progress) == model
    prove(model)


@pytest.mark.usefixtures("hub")
def test_damage_is_named_and_fetching_again_repairs_it(tmp_path: Path) -> None:
    model = fetch(NAME, tmp_path, lambda *_: None)
    weights = model.folder / "model.bin"
    weights.write_bytes(WEIGHTS[::-1])
    with pytest.raises(ModelDamaged, match="SHA-256"):
        prove(locate(NAME, tmp_path))
    weights.write_bytes(WEIGHTS[:-1])
    with pytest.raises(ModelDamaged, match=f"model.bin is missing or not whole; run: .* {NAME}"):
        locate(NAME, tmp_path)
    prove(fetch(NAME, tmp_path, lambda *_: None))


def test_weights_that_are_not_the_hubs_are_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving({NAME: MODEL}, lies=True) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        with pytest.raises(ModelDamaged, match="another SHA-256"):
            fetch(NAME, tmp_path, lambda *_: None)
    assert installed(tmp_path) == []


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("someone/words", "no model for faster-whisper"),
        ("someone/nothing", "could not be downloaded"),
        ("huge", "No model is called huge; one of tiny, "),
        ("", "No model is called ''; one of tiny, "),
        ("a/b/c", "No model is called a/b/c"),
    ],
)
def test_what_the_hub_does_not_have_is_one_line(name: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ModelUnknown, match=reason) as refused:
        fetch(name, tmp_path, lambda *_: None)
    assert "\n" not in refused.value.detail
    assert installed(tmp_path) == []


def test_a_hub_out_of_reach_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving({}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
    with pytest.raises(ModelNotFetched, match="name a folder") as refused:
        obtain("large-v3-turbo", tmp_path, lambda *_: None)
    assert "\n" not in refused.value.detail
    assert refused.value.code == "model_not_fetched"


@pytest.mark.slow
def test_the_bundled_model_is_joined_once_and_proved(tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as several:
        found = list(several.map(lambda _: locate(BUNDLED, tmp_path), range(3)))
    assert found[0] == found[1] == found[2]
    assert found[0].digest == BUNDLED_DIGEST
    assert (found[0].folder / "model.bin").stat().st_size == 145_217_532
    assert [p.name for p in tmp_path.iterdir() if p.is_dir()] == [bundled_folder(tmp_path).name]
    prove(found[0])

    (found[0].folder / "model.bin").write_bytes(b"short")
    with pytest.raises(ModelDamaged, match=r"delete .* made again"):
        locate(BUNDLED, tmp_path)


def test_packages_with_other_weights_are_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's upload under the same names, found before the real ones."""
    for half, package in enumerate(PARTS, 1):
        data = tmp_path / "site" / package / "data"
        data.mkdir(parents=True)
        (data.parent / "__init__.py").touch()
        (data / f"model.bin.part{half}").write_bytes(WEIGHTS)
        for file in ("config.json", "tokenizer.json", "vocabulary.txt"):
            (data / file).write_text("{}")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    with pytest.raises(ModelDamaged, match="has another SHA-256"):
        locate(BUNDLED, tmp_path / "models")
    assert [path for path in (tmp_path / "models").iterdir() if path.is_dir()] == []


def test_a_record_that_cannot_be_read_is_damage(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    for record in (b"", b"[]", b'{"digest": 1}', json.dumps({"digest": "", "sizes": 3}).encode()):
        (place / "encore.json").write_bytes(record)
        with pytest.raises(ModelDamaged, match="cannot be read; run: encore models fetch small"):
            locate("small", tmp_path)


def test_models_lie_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ENCORE_MODELS_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Settings(_env_file=None).models_folder == tmp_path / "encore" / "models"
    given = Settings(_env_file=None, models_dir=tmp_path / "models")
    assert given.models_folder == tmp_path / "models"
