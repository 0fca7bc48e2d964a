"""Models from the Hugging Face hub: fetched whole, proved by the hub's own SHA-256, then ours.

Nothing else asks the hub for anything.
"""

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from core.durable import make_folder, sync
from core.errors import Problem
from transcripts.installed_models import (
    BUNDLED,
    REQUIRED,
    VOCABULARIES,
    WEIGHTS,
    InstalledModel,
    ModelDamaged,
    ModelMissing,
    hub_folder,
    is_folder,
    locate,
    missing_files,
    one_at_a_time,
    record,
)

SYSTRAN: Final = (
    *("tiny", "tiny.en", "base", "base.en", "small", "small.en", "medium", "medium.en"),
    *("large-v1", "large-v2", "large-v3"),
)
TURBO: Final = "mobiuslabsgmbh/faster-whisper-large-v3-turbo"
REPOSITORIES: Final = {
    **{size: f"Systran/faster-whisper-{size}" for size in SYSTRAN},
    "large-v3-turbo": TURBO,
    "turbo": TURBO,
    "distil-large-v3": "Systran/faster-distil-whisper-large-v3",
    "distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
}
"""The names that people know models by; any other is written owner/name."""

_OWNED: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+", re.ASCII)

WANTED: Final = (*REQUIRED, *VOCABULARIES, "preprocessor_config.json")

Progress = Callable[[int, int], None]
"""Called with the bytes that are here, and how many it will be."""


class ModelNotFetched(Problem):
    status = 503
    code = "model_not_fetched"
    title = "The model could not be downloaded"


class ModelUnknown(ModelNotFetched):
    """Asked again, it will be no other: nothing was out of reach."""

    status = 422
    code = "model_unknown"
    title = "There is no such model"


@dataclass(frozen=True, slots=True)
class _Published:
    """What the hub has of a model, at one commit."""

    repository: str
    commit: str
    sizes: dict[str, int]
    digest: str | None


def check_name(name: str) -> None:
    """Whether a model may be called so, for all that is known without the hub or its folder.

    Raises ModelUnknown.
    """
    if name != BUNDLED and not is_folder(name):
        _repository(name)


def _repository(name: str) -> str:
    if name in REPOSITORIES or _OWNED.fullmatch(name):
        return REPOSITORIES.get(name, name)
    raise ModelUnknown(
        f"No model is called {name or repr(name)}; one of {', '.join(REPOSITORIES)}, owner/name on "
        "the hub, or a folder that begins with / or ."
    )


def obtain(name: str, models_dir: Path, progress: Progress) -> InstalledModel:
    """The model, downloaded where it is one of the hub's and not here yet."""
    try:
        return locate(name, models_dir)
    except ModelMissing:
        if name == BUNDLED or is_folder(name):
            raise
    return fetch(name, models_dir, progress)


def fetch(name: str, models_dir: Path, progress: Progress) -> InstalledModel:
    """Downloads it anew. Raises ModelNotFetched, and ModelDamaged where it came as another."""
    folder = hub_folder(name, models_dir)
    draft = folder.with_name(f".{folder.name}.partial")
    published = _published(name)
    make_folder(models_dir)
    with one_at_a_time(folder):
        make_folder(draft)
        _download(name, published, draft, progress)
        shutil.rmtree(draft / ".cache", ignore_errors=True)
        _prove(name, published, draft)
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
        sync(models_dir)
    return locate(name, models_dir)


def _published(name: str) -> _Published:
    repository = _repository(name)
    from huggingface_hub import HfApi  # half a second that only this needs

    try:
        info = HfApi(_endpoint()).model_info(repository, files_metadata=True, timeout=20)
    except Exception as error:  # noqa: BLE001 - the library and its transport raise many
        _refuse(name, error)
    files = {file.rfilename: file for file in info.siblings or () if file.rfilename in WANTED}
    if WEIGHTS not in files:
        raise ModelUnknown(f"{repository} is no model for faster-whisper: no {WEIGHTS} in it.")
    lfs = files[WEIGHTS].lfs
    sizes = {file: about.size or 0 for file, about in files.items()}
    return _Published(repository, info.sha or "main", sizes, lfs.sha256 if lfs else None)


def _download(name: str, published: _Published, draft: Path, progress: Progress) -> None:
    from huggingface_hub import hf_hub_download

    bar = _reporting(progress, sum(published.sizes.values()))
    try:
        for file in sorted(published.sizes, key=published.sizes.__getitem__):
            hf_hub_download(
                published.repository,
                file,
                revision=published.commit,
                local_dir=draft,
                endpoint=_endpoint(),
                tqdm_class=bar,
            )
    except Exception as error:  # noqa: BLE001 - as above
        _refuse(name, error)


def _prove(name: str, published: _Published, draft: Path) -> None:
    for path in draft.iterdir():
        sync(path)
    if missing := missing_files(draft):
        raise ModelUnknown(
            f"{published.repository} is no model for faster-whisper: it lacks {', '.join(missing)}."
        )
    if published.digest not in (None, record(name, draft).digest):
        shutil.rmtree(draft, ignore_errors=True)
        raise ModelDamaged(f"{name} came with another SHA-256 than the hub names; fetch it again.")


def _reporting(progress: Progress, total: int) -> type[Any]:
    """A bar as the library wants one, which draws nothing and tells us of every piece."""
    from huggingface_hub.utils.tqdm import tqdm

    done = 0

    class Bar(tqdm):
        def __init__(self, *given: Any, **how: Any) -> None:
            super().__init__(*given, **how | {"disable": True})  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> None:
            nonlocal done
            done += int(n or 0)
            progress(min(done, total), total)

    return Bar


def _endpoint() -> str | None:
    """Of a mirror; the library itself reads it only when it is first imported."""
    return os.environ.get("HF_ENDPOINT") or None


def _refuse(name: str, error: Exception) -> NoReturn:
    from huggingface_hub.errors import RepositoryNotFoundError

    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    kind = ModelUnknown if isinstance(error, RepositoryNotFoundError) else ModelNotFetched
    raise kind(
        f"The model {name} could not be downloaded ({reason[:200]}). Where the hub is out of "
        "reach, name a folder with the model's files instead."
    ) from error
