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
        root = self.data_dir / "journal"
        return sorted(p.name for p in root.iterdir() if p.is_dir()) if root.is_dir() else []

    def spools(self) -> list[str]:
        root = self.data_dir / "spool"
        return sorted(p.name for p in root.iterdir() if p.is_dir()) if root.is_dir() else []
