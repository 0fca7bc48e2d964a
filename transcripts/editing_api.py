"""HTTP: correcting transcripts."""

from datetime import datetime, timedelta
from typing import Annotated, Final, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from core.auth.browser import CrossSite
from core.auth.dependencies import CallerDep
from core.auth.display import NameInvalid, is_visible
from core.auth.documented import problems
from core.auth.rights import AccountNeeded, ScopeMissing
from core.buckets import Limit
from core.errors import Forbidden, NotFound, TooManyRequests, Unauthenticated
from core.http import RequestBody, SessionDep
from core.ratelimit import rate_limit
from rooms.access import Removed, RoomNotLive
from rooms.schemas import Prose
from transcripts import editing, naming
from transcripts.api import READING
from transcripts.edit_history import MadeEdit, history
from transcripts.editing import (
    LONGEST_CUE_MS,
    LONGEST_MS,
    Correction,
    CueTooLong,
    EditConflict,
    EditedSince,
    EditUnknown,
    NoConflict,
    OutsideRecording,
    SpeakerUnknown,
    TooManyEdits,
    TooManyWords,
)
from transcripts.models import Patch, PatchState, Rename, Transcript
from transcripts.reading import TranscriptNotReady

MOST: Final = (1 << 31) - 1
"""That a version or a number of an edit can be."""

EDIT: Final = Limit("transcript-edit", 120, timedelta(minutes=1))
EDITING = [Depends(rate_limit(EDIT, per_credential=True))]
REFUSED = (
    Unauthenticated,
    Forbidden,
    ScopeMissing,
    Removed,
    NotFound,
    RoomNotLive,
    TranscriptNotReady,
    CrossSite,
    TooManyRequests,
)
router = APIRouter(prefix="/v1/recordings/{recording_id}/transcript", tags=["transcripts"])

_ADA = "0199f0a2-6b77-7a10-8c3f-2d9e5b1a4c68"
_EDIT: dict[str, JsonValue] = {
    "base_version": 3,
    "participant_id": _ADA,
    "start_ms": 61_250,
    "end_ms": 63_900,
    "text": "What the sea keeps, it keeps well.",
    "breaks": [],
}
_MADE: dict[str, JsonValue] = {
    "id": "0199f0b4-0c2d-7e11-a2b3-9f8e7d6c5b4a",
    "number": 7,
    "participant_id": _ADA,
    "start_ms": 61_250,
    "end_ms": 63_900,
    "text": "What the sea keeps, it keeps well.",
    "breaks": [],
    "replaced": "What the see keeps, it keeps well.",
    "state": "applied",
    "created_at": "2026-11-21T22:10:00Z",
    "withdrawn_at": None,
}
_HISTORY: dict[str, JsonValue] = {
    "items": [{**_MADE, "author": "Grace Hopper", "withdrawn_by": None, "current": None}],
    "renames": [
        {
            "participant_id": _ADA,
            "replaced": "Guest 4",
            "name": "Ada Lovelace",
            "author": "Grace Hopper",
            "created_at": "2026-11-21T22:08:00Z",
        }
    ],
    "next": None,
}


class NewEdit(RequestBody):
    """Replaces the words of one speaker that start in [start_ms, end_ms)."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EDIT]})

    base_version: int = Field(ge=1, le=MOST, description="of the transcript that was read")
    participant_id: UUID
    start_ms: int = Field(ge=0, lt=1 << 53, description="on the room's clock")
    end_ms: int = Field(ge=1, lt=1 << 53, description=f"at most {LONGEST_MS // 1000} s later")
    text: Prose | None = Field(
        None, description="what was said; empty: nothing. Null keeps the words, for `breaks`"
    )
    breaks: list[Annotated[int, Field(ge=0, lt=1 << 53)]] = Field(
        [],
        max_length=50,
        description="where cues begin within the stretch; given one, its first word begins one, "
        f"and nothing else does, {LONGEST_CUE_MS // 1000} s a cue at most. "
        "To join two cues, name the beginning of the first; to split "
        "one, name both beginnings",
    )

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if not 0 < self.end_ms - self.start_ms <= LONGEST_MS:
            raise ValueError(f"end_ms must be 1 to {LONGEST_MS} ms after start_ms")
        if self.text is None and not self.breaks:
            raise ValueError("send text, breaks or both")
        if self.text and self.text.strip() and not is_visible(self.text):
            raise ValueError("nothing of this text can be seen; send an empty one for no words")
        return self

    def correction(self) -> Correction:
        return Correction(**{**self.model_dump(), "breaks": tuple(self.breaks)})


class EditOut(BaseModel):
    """`conflict`: a newer run hears something else there; keep the edit, or withdraw it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    number: int
    participant_id: UUID
    start_ms: int
    end_ms: int
    text: str | None
    breaks: list[int]
    replaced: str
    state: PatchState
    created_at: datetime
    withdrawn_at: datetime | None


class MadeEditOut(EditOut):
    author: str
    withdrawn_by: str | None
    current: str | None = Field(description="of an edit in conflict: what stands there now")

    @classmethod
    def of(cls, made: MadeEdit) -> Self:
        edit = EditOut.model_validate(made.patch).model_dump()
        names = {"author": made.author, "withdrawn_by": made.withdrawn_by}
        return cls(**edit, **names, current=made.current)


class RenameOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    participant_id: UUID
    replaced: str
    name: str
    author: str
    created_at: datetime

    @classmethod
    def of(cls, rename: Rename, author: str) -> Self:
        return cls(
            participant_id=rename.participant_id,
            replaced=rename.replaced,
            name=rename.name,
            author=author,
            created_at=rename.created_at,
        )


class EditPage(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [_HISTORY]})

    items: list[MadeEditOut]
    renames: list[RenameOut] = Field(
        description=f"of speakers, the newest {naming.MOST_TOLD}, with the first page of all edits"
    )
    next: int | None = Field(description="pass as `before` for the next page; null at the end")


class Edited(BaseModel):
    """The transcript as it is with the edit; without one the text was that already."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"version": 4, "edit": _MADE}]})

    version: int
    edit: EditOut | None

    @classmethod
    def of(cls, transcript: Transcript, patch: Patch | None) -> Self:
        edit = None if patch is None else EditOut.model_validate(patch)
        return cls(version=transcript.version, edit=edit)


class Version(BaseModel):
    version: int = Field(description="of the transcript, from now on", examples=[5])


class NewName(RequestBody):
    name: str | None = Field(
        max_length=400, description="null: as in the room", examples=["Ada Lovelace"]
    )


@router.post(
    "/edits",
    status_code=201,
    summary="Correct what somebody said",
    dependencies=EDITING,
    responses=problems(
        *REFUSED,
        AccountNeeded,
        SpeakerUnknown,
        EditConflict,
        OutsideRecording,
        TooManyWords,
        CueTooLong,
        TooManyEdits,
    ),
)
async def correct(
    recording_id: UUID, edit: NewEdit, session: SessionDep, principal: CallerDep
) -> Edited:
    """Host and co-hosts correct everybody, speakers themselves. Words that stay keep their
    times, new ones get theirs from those around. Nobody's work is lost: where somebody changed
    the same stretch after `base_version` this is 409 `edit_conflict`, with `current_text` and
    `version`; edits elsewhere pass. The edit stays when the recording is transcribed again."""
    made = await editing.correct(
        session, principal=principal, recording_id=recording_id, wanted=edit.correction()
    )
    return Edited.of(*made)


@router.get(
    "/edits",
    summary="Who corrected what, and when",
    dependencies=READING,
    responses=problems(*REFUSED),
)
async def edits(
    recording_id: UUID,
    session: SessionDep,
    principal: CallerDep,
    state: Annotated[PatchState | None, Query(description="only those that are so now")] = None,
    before: Annotated[int | None, Query(ge=1, le=MOST)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> EditPage:
    """The newest first. `state=conflict`: those that wait for a decision. Speakers see those
    of their own words, host and co-hosts all."""
    found = await history(
        session,
        principal=principal,
        recording_id=recording_id,
        state=state,
        before=before,
        limit=limit + 1,
    )
    items = [MadeEditOut.of(made) for made in found[:limit]]
    names: list[RenameOut] = []
    if state is None and before is None:
        made = await naming.renames(session, principal=principal, recording_id=recording_id)
        names = [RenameOut.of(*one) for one in made]
    following = items[-1].number if len(found) > limit else None
    return EditPage(items=items, renames=names, next=following)


@router.delete(
    "/edits/{edit_id}",
    summary="Undo a correction",
    dependencies=EDITING,
    responses=problems(*REFUSED, AccountNeeded, EditUnknown, SpeakerUnknown, EditedSince),
)
async def undo(
    recording_id: UUID, edit_id: UUID, session: SessionDep, principal: CallerDep
) -> Version:
    """As if it had not been made; it stays in the history. Of one in conflict: takes what the
    newer run heard. Idempotent."""
    transcript = await editing.undo(
        session, principal=principal, recording_id=recording_id, patch_id=edit_id
    )
    return Version(version=transcript.version)


@router.post(
    "/edits/{edit_id}/keep",
    status_code=201,
    summary="Keep a correction against what a newer run heard",
    dependencies=EDITING,
    responses=problems(
        *REFUSED,
        AccountNeeded,
        EditUnknown,
        SpeakerUnknown,
        NoConflict,
        TooManyWords,
        CueTooLong,
        TooManyEdits,
    ),
)
async def keep(
    recording_id: UUID, edit_id: UUID, session: SessionDep, principal: CallerDep
) -> Edited:
    """Makes the same edit anew, in place of what stands there now."""
    made = await editing.keep(
        session, principal=principal, recording_id=recording_id, patch_id=edit_id
    )
    return Edited.of(*made)


@router.put(
    "/speakers/{participant_id}",
    summary="Say how a speaker is called",
    dependencies=EDITING,
    responses=problems(*REFUSED, AccountNeeded, SpeakerUnknown, NameInvalid),
)
async def name(
    recording_id: UUID,
    participant_id: UUID,
    wanted: NewName,
    session: SessionDep,
    principal: CallerDep,
) -> Version:
    """In this transcript, its captions and in search; not in the room."""
    transcript = await naming.name_speaker(
        session,
        principal=principal,
        recording_id=recording_id,
        participant_id=participant_id,
        name=wanted.name,
    )
    return Version(version=transcript.version)
