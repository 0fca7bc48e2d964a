"""Where a page of results ended, as an opaque text."""

import base64
import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from core.errors import Invalid


class CursorInvalid(Invalid):
    code = "cursor_invalid"
    title = "`after` is not from the answer to the same search"


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last recording of a page, by what pages are sorted by: its time or its score.

    `oldest` is when the oldest recording that was searched went live; None if all were.
    """

    recording_id: UUID
    live_at: datetime | None = None
    score: float | None = None
    oldest: datetime | None = None

    def text(self) -> str:
        by = self.score if self.live_at is None else self.live_at.isoformat()
        oldest = None if self.oldest is None else self.oldest.isoformat()
        data = json.dumps([by, str(self.recording_id), oldest], separators=(",", ":"))
        return base64.urlsafe_b64encode(data.encode()).decode().rstrip("=")


def read_cursor(text: str) -> Cursor:
    """Raises CursorInvalid."""
    try:
        by, recording_id, oldest = json.loads(
            base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        )
        return Cursor(
            UUID(recording_id),
            live_at=_time(by) if isinstance(by, str) else None,
            score=None if isinstance(by, str) else _score(by),
            oldest=None if oldest is None else _time(oldest),
        )
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise CursorInvalid from error


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("without a time zone")
    return at.astimezone(UTC)


def _score(value: Any) -> float:
    score = float(value)
    if not math.isfinite(score):
        raise ValueError("not a score")
    return score
