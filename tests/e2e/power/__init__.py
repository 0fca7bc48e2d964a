"""Power loss: only what was fsynced survives it, and only under names whose folder was."""

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

INSTRUMENT = Path(__file__).parent / "instrument"
"""Put on PYTHONPATH, its `sitecustomize` tells `SYNC_LOG` of every fsync, rename and link."""

SYNC_LOG = "ENCORE_TEST_SYNC_LOG"


@dataclass
class Durable:
    """What a disk holds that obeyed every fsync and nothing else (POSIX promises no more).

    `sizes` are the bytes of each file that its last fsync covered; `names` are the entries of
    each folder at its last fsync.
    """

    sizes: dict[str, int] = field(default_factory=dict)
    names: dict[str, set[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, log: Path) -> "Durable":
        durable = cls()
        for line in log.read_text().splitlines():
            durable.take(json.loads(line))
        return durable

    def take(self, entry: dict[str, object]) -> None:
        path = str(entry["path"])
        match entry["op"]:
            case "file":
                self.sizes[path] = int(str(entry["size"]))
            case "folder":
                self.names[path] = set(str(entry["names"]).split("/"))
            case "move":
                self.sizes[str(entry["to"])] = self.sizes.pop(path, 0)
            case "link":
                self.sizes[str(entry["to"])] = self.sizes.get(path, 0)

    def cut(self, folder: Path, *, spared: frozenset[str]) -> list[str]:
        """Takes from the disk what was not durable below `folder`; what went, relative to it."""
        gone: list[str] = []
        for path in sorted(folder.iterdir()):
            if path.name in spared:
                continue
            if path.name not in self.names.get(str(folder), set()):
                gone.append(path.name)
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            elif path.is_dir():
                gone += [f"{path.name}/{name}" for name in self.cut(path, spared=frozenset())]
            elif path.is_file() and path.stat().st_size > self.sizes.get(str(path), 0):
                gone.append(f"{path.name} from {self.sizes.get(str(path), 0)} on")
                os.truncate(path, self.sizes.get(str(path), 0))
        return gone
