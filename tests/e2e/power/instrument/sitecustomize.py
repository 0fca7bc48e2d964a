"""Python imports this at start where it is on the path: it tells what becomes durable, and when."""

import json
import os
import stat
from pathlib import Path
from typing import Any

_LOG = os.environ.get("ENCORE_TEST_SYNC_LOG")
_fsync, _rename, _link = os.fsync, os.replace, os.link


def _tell(**entry: Any) -> None:
    log = os.open(str(_LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(log, json.dumps(entry).encode() + b"\n")  # one write: many processes append
    os.close(log)


def _told_fsync(file: Any) -> None:
    descriptor = file if isinstance(file, int) else file.fileno()
    path, before = str(Path(f"/proc/self/fd/{descriptor}").readlink()), os.fstat(descriptor)
    names = "/".join(os.listdir(descriptor)) if stat.S_ISDIR(before.st_mode) else ""  # noqa: PTH208
    _fsync(descriptor)
    if stat.S_ISDIR(before.st_mode):
        _tell(op="folder", path=path, names=names)
    else:
        _tell(op="file", path=path, size=before.st_size)


def _told_rename(source: Any, target: Any, **options: Any) -> None:
    _rename(source, target, **options)
    _tell(op="move", path=str(Path(source).absolute()), to=str(Path(target).absolute()))


def _told_link(source: Any, target: Any, **options: Any) -> None:
    _link(source, target, **options)
    _tell(op="link", path=str(Path(source).absolute()), to=str(Path(target).absolute()))


if _LOG:
    told = {"fsync": _told_fsync, "rename": _told_rename, "replace": _told_rename}
    for name, function in {**told, "link": _told_link}.items():
        setattr(os, name, function)
