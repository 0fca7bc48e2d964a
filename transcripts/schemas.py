"""What the API of transcripts takes and gives."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from core.http import RequestBody
from rooms.schemas import Language
from transcripts import reading, runs
from transcripts.models import Cue, Missing, Run, RunStatus

_RECORDING = "0199f0a2-5c1e-7c43-9d51-4f8a7d2c1b3e"
_ADA = "0199f0a2-6b77-7a10-8c3f-2d9e5b1a4c68"
_RUN_EXAMPLE: dict[str, JsonValue] = {
    "id": "0199f0b3-77aa-7c02-9e1d-3b5a8f6c2d10",
    "recording_id": _RECORDING,
    "revision": 1,
    "model": "large-v3-turbo",
    "compute_type": "float16",
    "status": "done",
    "error_code": None,
    "published": True,
    "repeats": False,
    "created_at": "2026-11-21T21:30:02Z",
    "started_at": "2026-11-21T21:30:03Z",
    "finished_at": "2026-11-21T21:33:41Z",
}
_STATUS_EXAMPLE: dict[str, JsonValue] = {
    "run": {**_RUN_EXAMPLE, "status": "running", "published": False, "finished_at": None},
    "windows_done": 31,
    "windows_total": 74,
    "version": None,
    "tracks": [
        {
            "participant_id": _ADA,
            "speaker": "Ada Lovelace",
            "language": "en",
            "language_probability": 0.99,
            "speech_ms": 812_400,
            "windows_done": 31,
            "windows_total": 33,
        }
    ],
}
_CUES_EXAMPLE: dict[str, JsonValue] = {
    "version": 3,
    "run_id": "0199f0b3-77aa-7c02-9e1d-3b5a8f6c2d10",
    "published_at": "2026-11-21T21:33:41Z",
    "speakers": [
        {"participant_id": _ADA, "name": "Ada Lovelace", "language": "en", "chosen_language": None}
    ],
    "cues": [
        {
            "id": "0199f0b3-9c1e-7d44-8a21-6e0f5b7c3d92",
            "participant_id": _ADA,
            "speaker": "Ada Lovelace",
            "start_ms": 61_250,
            "end_ms": 63_900,
            "language": "en",
            "text": "What the sea keeps,\nit keeps well.",
            "words": [[61_250, 61_480, "What", 0.97], [61_480, 61_600, "the", 0.99]],
            "confidence": 0.94,
            "edited": False,
        }
    ],
    "missing": [
        {"participant_id": _ADA, "speaker": "Ada Lovelace", "start_ms": 90_100, "end_ms": 92_400}
    ],
    "next": None,
}


class RunOut(BaseModel):
    """One model over the recording. `error_code` of a run under way: why it waits to try again."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [_RUN_EXAMPLE]})

    id: UUID
    recording_id: UUID
    revision: int
    model: str
    compute_type: str | None
    status: RunStatus
    error_code: str | None
    published: bool = Field(False, description="what is read comes from it")
    repeats: bool = Field(
        False,
        description="what is read comes from another run of the same model: this one hears the "
        "same, but for languages that were set since. Of a run of `default` it is known for "
        "sure once a machine has taken it",
    )
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, run: Run, source: Run | None, *, name: str | None = None) -> Self:
        """`source`: the run that is published; `name`: the run's model, if it has none yet."""
        shown = cls.model_validate(run)
        if source is None:
            return shown
        published, same = run.id == source.id, (name or run.model) == source.model
        if run.model_digest and source.model_digest:
            same = run.model_digest == source.model_digest
        return shown.model_copy(update={"published": published, "repeats": same and not published})


class TrackProgressOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    participant_id: UUID
    speaker: str
    language: str | None = Field(description="ISO 639; null where nobody spoke")
    language_probability: float = Field(description="1 where a person chose it")
    speech_ms: int
    windows_done: int
    windows_total: int


class StatusOut(BaseModel):
    """How far the newest run is; what is published stays readable meanwhile."""

    model_config = ConfigDict(
        from_attributes=True, json_schema_extra={"examples": [_STATUS_EXAMPLE]}
    )

    run: RunOut | None = Field(description="null: nobody has asked for one")
    windows_done: int = Field(description="of at most 30 s of one speaker's speech each")
    windows_total: int | None = Field(description="null until it has been planned")
    version: int | None = Field(description="of what is published; rises with every change")
    tracks: list[TrackProgressOut]

    @classmethod
    def of(cls, found: reading.Progress) -> Self:
        head = found.published
        return cls(
            run=RunOut.of(found.run, found.source) if found.run else None,
            windows_done=found.windows_done,
            windows_total=found.windows_total,
            version=head.version if head else None,
            tracks=[TrackProgressOut.model_validate(track) for track in found.tracks],
        )


class SpeakerOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    participant_id: UUID
    name: str
    language: str | None = Field(description="in which the words were heard")
    chosen_language: str | None = Field(description="by a person; null: it is detected")


class CueOut(BaseModel):
    """Times are milliseconds on the room's clock."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    participant_id: UUID
    speaker: str
    start_ms: int
    end_ms: int
    language: str
    text: str = Field(description="one line or two, with a line break between them")
    words: list[list[Any]] = Field(description="[start_ms, end_ms, text, confidence] each")
    confidence: float = Field(description="0 to 1")
    edited: bool = Field(description="a person corrected something in it")

    @classmethod
    def of(cls, cue: Cue, speaker: str) -> Self:
        row = {name: getattr(cue, name) for name in cls.model_fields if name != "speaker"}
        return cls(**row, speaker=speaker)


class MissingOut(BaseModel):
    """Somebody spoke, and hardly a word was understood."""

    participant_id: UUID
    speaker: str
    start_ms: int
    end_ms: int

    @classmethod
    def of(cls, gap: Missing, speaker: str) -> Self:
        return cls(
            participant_id=gap.participant_id,
            speaker=speaker,
            start_ms=gap.start_ms,
            end_ms=gap.end_ms,
        )


class CuePage(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [_CUES_EXAMPLE]})

    version: int = Field(description="when it differs from the page before, begin anew")
    run_id: UUID
    published_at: datetime
    speakers: list[SpeakerOut]
    cues: list[CueOut]
    missing: list[MissingOut] = Field(description="of the whole transcript; with the first page")
    next: str | None = Field(description="pass as `after` for the next page; null at the end")


class TrackLanguageIn(RequestBody):
    model_config = ConfigDict(json_schema_extra={"examples": [{"language": "it"}]})

    language: Language | None = Field(description="null: have it detected")


ModelName = Annotated[
    str,
    StringConstraints(max_length=100, pattern=r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?$"),
]


class NewRun(RequestBody):
    model_config = ConfigDict(json_schema_extra={"examples": [{"model": "large-v3-turbo"}]})

    model: ModelName = Field(
        runs.DEFAULT_MODEL,
        description="one that this installation offers (`ENCORE_TRANSCRIBE_CHOICES`); that of its "
        "machines when absent",
    )


class RunList(BaseModel):
    items: list[RunOut] = Field(description="the newest first, fifty at most")
