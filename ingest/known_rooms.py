"""What this machine last knew of each room it receives, for a restart without the database.

One file (mode 0600) per room: the stage, the placement, and the room's zero on the monotonic
clock, which a process's successor shares until the machine boots again.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from pydantic import TypeAdapter

from core.durable import replace_file
from ingest.placement import Placement
from rooms.stage import Stage

log = logging.getLogger(__name__)
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class KnownRoom:
    stage: Stage
    placement: Placement
    zero_us: int
    boot_id: str


_ROOM: Final = TypeAdapter(KnownRoom)


def boot_id() -> str:
    """This boot of the machine; empty where the system does not tell."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


class KnownRooms:
    """The folder of those files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._boot_id = boot_id()

    def _path(self, room_id: UUID) -> Path:
        return self._folder / f"{room_id}.json"

    def save(self, stage: Stage, placement: Placement, zero_us: int) -> None:
        """A full disk costs the memory, never the room."""
        known = KnownRoom(stage, placement, zero_us, self._boot_id)
        try:
            replace_file(self._path(stage.room_id), _ROOM.dump_json(known), durable=False)
        except OSError as error:
            log.warning("a room's stage could not be saved: %s", error.strerror)

    def forget(self, room_id: UUID) -> None:
        self._path(room_id).unlink(missing_ok=True)

    def load(self, room_id: UUID) -> KnownRoom | None:
        """None for a room that is not known, or whose clock belongs to an earlier boot."""
        try:
            known = _ROOM.validate_json(self._path(room_id).read_bytes())
        except (OSError, ValueError):
            return None
        return known if known.boot_id and known.boot_id == self._boot_id else None

    def room_ids(self) -> list[UUID]:
        return sorted(UUID(path.stem) for path in self._folder.glob("*.json"))
