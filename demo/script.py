"""The demo room's script: who says what, when (demo/script.toml)."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Turn:
    """One utterance; `start_s` counts from go-live."""

    speaker: str
    start_s: float
    duration_s: float
    text: str
    file: Path
    off_the_record: bool


@dataclass(frozen=True, slots=True)
class Speaker:
    name: str
    language: str
    role: str


@dataclass(frozen=True, slots=True)
class Script:
    title: str
    description: str
    topics: list[str]
    speakers: list[Speaker]
    turns: list[Turn]
    pause_start_s: float
    pause_end_s: float
    reconnect_speaker: str
    reconnect_at_s: float
    end_s: float

    @property
    def media_s(self) -> float:
        """Length of the replay: what is off the record is cut out."""
        return self.end_s - (self.pause_end_s - self.pause_start_s)


def load_script(path: Path = HERE / "script.toml") -> Script:
    raw: dict[str, Any] = tomllib.loads(path.read_text())
    return Script(
        title=raw["title"],
        description=raw["description"],
        topics=raw["topics"],
        speakers=[Speaker(**one) for one in raw["speaker"]],
        turns=[Turn(**{**one, "file": path.parent / one["file"]}) for one in raw["turn"]],
        pause_start_s=raw["off_the_record"]["start_s"],
        pause_end_s=raw["off_the_record"]["end_s"],
        reconnect_speaker=raw["reconnect"]["speaker"],
        reconnect_at_s=raw["reconnect"]["at_s"],
        end_s=raw["end_s"],
    )
