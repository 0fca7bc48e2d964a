"""Recordings whose files lie on this disk: their manifests, read as they grow."""

import logging
from pathlib import Path

from ingest.manifest import Line, ManifestReader, Opened
from replay.recorded import Recorded

log = logging.getLogger(__name__)


class SpoolSource:
    """Tails one manifest. Blocking, but for some microseconds once it has been opened."""

    def __init__(self, manifest: Path) -> None:
        self._reader = ManifestReader(manifest)
        self._folder = manifest.parent
        self.recorded: Recorded | None = None
        self.gone = False
        """The manifest was there and is not any more: cleaned up, or another worker's room."""

    def refresh(self, now: float) -> None:
        """Takes in the new lines; what is no manifest is logged, not raised."""
        if not self._has_grown():
            return
        try:
            for line in self._reader.read():
                self._take(line, now)
        except (OSError, ValueError, TypeError, AttributeError):
            log.exception("a manifest cannot be read")

    def _take(self, line: Line, now: float) -> None:
        if isinstance(line, Opened):
            self.recorded = self.recorded or Recorded.of(line)
        elif self.recorded is not None:
            self.recorded.apply(line, folder=self._folder, now=now)

    def _has_grown(self) -> bool:
        try:
            return self._reader.path.stat().st_size > self._reader.offset
        except FileNotFoundError:
            self.gone = self.recorded is not None
            return False
