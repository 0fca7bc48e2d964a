"""Where one machine keeps what is not yet in the object store."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Folders:
    """Folders under `data_dir`, shared by the receiving and packaging process and the edge."""

    data_dir: Path

    def journal(self, recording_id: str) -> Path:
        return self.data_dir / "journal" / recording_id

    def spool(self, recording_id: str) -> Path:
        return self.data_dir / "spool" / recording_id

    def manifest(self, recording_id: str) -> Path:
        return self.spool(recording_id) / "manifest.jsonl"

    def journals(self) -> list[str]:
        """Recordings that have a journal on this disk."""
        return _folders_in(self.data_dir / "journal")

    def spools(self) -> list[str]:
        return _folders_in(self.data_dir / "spool")

    def held(self) -> set[str]:
        """Recordings that something is to be done for here, in the epoch that wrote it."""
        return {*self.journals(), *self.spools()}

    def fenced(self, epoch: int) -> "Folders":
        """Where the journals of this epoch lie once another worker has their recordings."""
        return Folders(self.data_dir / "fenced" / str(epoch))

    def fenced_epochs(self) -> list[int]:
        return sorted(int(name) for name in _folders_in(self.data_dir / "fenced"))


def _folders_in(root: Path) -> list[str]:
    """Those that are finished: a name with a dot is being written."""
    if not root.is_dir():
        return []
    return sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
