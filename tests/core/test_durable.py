"""What must be there after power loss: whole, private, made once."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.durable import create_once, make_folder, replace_file


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "down" / "file"
    replace_file(path, b"first, and longer")
    replace_file(path, b"second")
    assert path.read_bytes() == b"second"
    assert names(path.parent) == ["file"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_first_to_create_wins(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    values = [str(number).encode() * 100 for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda value: create_once(path, value), values))
    assert path.read_bytes() in values
    won = path.read_bytes()
    create_once(path, b"late")
    assert path.read_bytes() == won
    assert names(tmp_path) == ["secret"]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, b"stands")
    blocked = path / "below a file"
    with pytest.raises(FileExistsError):
        replace_file(blocked, b"")
    assert path.read_bytes() == b"stands"
    assert names(tmp_path) == ["file"]


def test_folders_are_made_with_their_mode(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    make_folder(folder, mode=0o700)
    make_folder(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
