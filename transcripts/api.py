"""HTTP: transcripts to read, how far the next one is, who speaks which language, runs."""

import hashlib
from datetime import timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from core.auth.browser import CrossSite
from core.auth.dependencies import CallerDep
from core.auth.documented import problems
from core.auth.principal import Scope
from core.auth.rights import ScopeMissing, limit_to_scope
from core.buckets import Limit
from core.errors import Forbidden, Invalid, NotFound, TooManyRequests, Unauthenticated
from core.http import ServicesDep, SessionDep
from core.ratelimit import rate_limit
from rooms.access import Action, RoomNotLive
from transcripts import reading, runs
from transcripts.formats import KINDS, Format, NotAcceptable, wanted
from transcripts.hub import ModelUnknown
from transcripts.reading import TranscriptNotReady, listened_room
from transcripts.runs import RecordingUnfinished, RunUnderWay, RunUnfinished
from transcripts.schemas import (
    CueOut,
    CuePage,
    MissingOut,
    NewRun,
    RunList,
    RunOut,
    SpeakerOut,
    StatusOut,
    TrackLanguageIn,
)
from transcripts.track_languages import LanguageNotSpoken, set_language

READ: Final = Limit("transcript", 600, timedelta(minutes=1), lease=10)
CHANGE: Final = Limit("transcript-language", 60, timedelta(minutes=1))
RUN: Final = Limit("transcript-run", 20, timedelta(hours=1))
"""Each takes a core for a third of the time that people spoke, or more."""

READING = [Depends(rate_limit(READ, per_credential=True))]
REFUSED = (Unauthenticated, Forbidden, ScopeMissing, NotFound, RoomNotLive, TooManyRequests)

router = APIRouter(prefix="/v1", tags=["transcripts"])


class ModelNotOffered(Invalid):
    code = "model_not_offered"
    title = "This model may not be asked for"


class PlaceInvalid(Invalid):
    code = "place_invalid"
    title = "`after` is not the `next` of a page"


def answer(request: Request, body: str, content_type: str) -> Response:
    """With an ETag (RFC 9110, 8.8.3): who has it already gets 304.

    Of the bytes, not the version: names and consents change what is shown without one.
    """
    etag = f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Accept, Authorization"}
    known = [
        tag.strip().removeprefix("W/")
        for tag in request.headers.get("If-None-Match", "").split(",")
    ]
    if etag in known:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=content_type)


async def _rendered(
    request: Request,
    session: SessionDep,
    principal: CallerDep,
    recording_id: UUID,
    format_: Format,
) -> Response:
    limit_to_scope(principal, Scope.RECORDINGS_READ)
    await listened_room(session, principal, recording_id)
    transcript = await reading.published(session, recording_id)
    kind = KINDS[format_]
    return answer(request, kind.render(*transcript.on_media()), kind.content_type)


_FORMATS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The transcript",
        "content": {
            "application/json": {
                "example": {
                    "version": "1.0.0",
                    "segments": [
                        {
                            "speaker": "Ada Lovelace",
                            "startTime": 61.25,
                            "endTime": 63.9,
                            "body": "What the sea keeps, it keeps well.",
                        }
                    ],
                }
            },
            "text/vtt": {
                "example": "WEBVTT\n\n1\n00:01:01.250 --> 00:01:03.900\n"
                "<v Ada Lovelace>What the sea keeps,\nit keeps well.</v>\n"
            },
            "application/x-subrip": {
                "example": "1\n00:01:01,250 --> 00:01:03,900\n"
                "Ada Lovelace: What the sea keeps,\nit keeps well.\n"
            },
            "text/plain": {
                "example": "Ada Lovelace (0:01:01)\nWhat the sea keeps, it keeps well.\n"
            },
        },
    },
    304: {"description": "`If-None-Match` names what it still is"},
}
_READ_REFUSED = {**_FORMATS, **problems(*REFUSED, TranscriptNotReady)}


@router.get(
    "/recordings/{recording_id}/transcript",
    summary="Read a transcript",
    dependencies=READING,
    response_class=Response,
    responses={**_READ_REFUSED, **problems(NotAcceptable)},
)
async def transcript(
    recording_id: UUID, request: Request, session: SessionDep, principal: CallerDep
) -> Response:
    """In the format that `Accept` names: WebVTT with voices, SubRip, plain text, or JSON of
    Podcasting 2.0, which is the default. Times are those of the replay's media, as players
    count them: what was off the record takes no time, so after a pause they are behind the times
    of the room's page and of `/transcript/cues`. The same lies at
    `/transcript.vtt`, `.srt`, `.txt` and `.json`. An API key needs `recordings:read`."""
    format_ = wanted(request.headers.get("Accept"))
    return await _rendered(request, session, principal, recording_id, format_)


@router.get(
    "/recordings/{recording_id}/transcript.{extension}",
    summary="Read a transcript in one format",
    dependencies=READING,
    response_class=Response,
    responses=_READ_REFUSED,
)
async def transcript_file(
    recording_id: UUID,
    extension: Format,
    request: Request,
    session: SessionDep,
    principal: CallerDep,
) -> Response:
    """For players, podcast feeds and downloads. Times are those of the replay's media, not of the
    room's clock."""
    return await _rendered(request, session, principal, recording_id, extension)


@router.get(
    "/recordings/{recording_id}/transcript/status",
    summary="How far a transcript is",
    dependencies=READING,
    responses=problems(*REFUSED),
)
async def status(recording_id: UUID, session: SessionDep, principal: CallerDep) -> StatusOut:
    """`version` is null until there is one to read; the event `transcript.published` tells."""
    limit_to_scope(principal, Scope.RECORDINGS_READ)
    await listened_room(session, principal, recording_id)
    return StatusOut.of(await reading.progress(session, recording_id))


@router.get(
    "/recordings/{recording_id}/transcript/cues",
    summary="A transcript's cues",
    dependencies=READING,
    responses=problems(*REFUSED, TranscriptNotReady, PlaceInvalid),
)
async def cues(
    recording_id: UUID,
    session: SessionDep,
    principal: CallerDep,
    after: Annotated[str | None, Query(pattern=r"^-?\d{1,19}_[0-9a-f-]{36}$")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 500,
) -> CuePage:
    """For pages that show, play and edit it: on the room's clock, with every word's time."""
    limit_to_scope(principal, Scope.RECORDINGS_READ)
    await listened_room(session, principal, recording_id)
    head = await reading.head_of(session, recording_id)
    found = await reading.cues_of(session, recording_id, after=_place(after), limit=limit + 1)
    page = [CueOut.of(cue, name) for cue, name in found[:limit]]
    missing = [] if after else await reading.missing_of(session, recording_id)
    return CuePage(
        version=head.version,
        run_id=head.run_id,
        published_at=head.published_at,
        speakers=[
            SpeakerOut.model_validate(one) for one in await reading.speakers_of(session, head)
        ],
        cues=page,
        missing=[MissingOut.of(gap, name) for gap, name in missing],
        next=f"{page[-1].start_ms}_{page[-1].id}" if len(found) > limit else None,
    )


def _place(after: str | None) -> tuple[int, UUID] | None:
    if after is None:
        return None
    start_ms, _, cue_id = after.partition("_")
    try:
        place = int(start_ms), UUID(cue_id)
    except ValueError as error:
        raise PlaceInvalid from error
    if place[0].bit_length() > 63:  # the column's type
        raise PlaceInvalid
    return place


@router.put(
    "/recordings/{recording_id}/tracks/{participant_id}/language",
    status_code=204,
    summary="Say what a speaker speaks",
    dependencies=[Depends(rate_limit(CHANGE, per_credential=True))],
    responses=problems(*REFUSED, LanguageNotSpoken, CrossSite),
)
async def put_language(
    recording_id: UUID,
    participant_id: UUID,
    body: TrackLanguageIn,
    session: SessionDep,
    principal: CallerDep,
) -> None:
    """The speaker or the host may. It holds for captions and for runs that begin after it; ask
    for another run to have it heard anew."""
    room = await listened_room(session, principal, recording_id, Action.SEE)
    await put_participant_language(room.id, participant_id, body, session, principal)


@router.put(
    "/rooms/{room_id}/participants/{participant_id}/language",
    status_code=204,
    summary="Say what somebody will speak",
    dependencies=[Depends(rate_limit(CHANGE, per_credential=True))],
    responses=problems(*REFUSED, LanguageNotSpoken, CrossSite),
)
async def put_participant_language(
    room_id: UUID,
    participant_id: UUID,
    body: TrackLanguageIn,
    session: SessionDep,
    principal: CallerDep,
) -> None:
    """The same before the room is live, when it has no recording yet."""
    await set_language(
        session,
        principal=principal,
        room_id=room_id,
        participant_id=participant_id,
        language=body.language,
    )


@router.get(
    "/recordings/{recording_id}/transcript/runs",
    summary="Which models have listened",
    dependencies=READING,
    responses=problems(*REFUSED),
)
async def list_runs(recording_id: UUID, session: SessionDep, principal: CallerDep) -> RunList:
    """Only the host, operators and the platform see them."""
    await listened_room(session, principal, recording_id, Action.TRANSCRIBE)
    source = (await reading.progress(session, recording_id)).source
    found = await reading.runs_of(session, recording_id)
    return RunList(items=[RunOut.of(run, source) for run in found])


@router.post(
    "/recordings/{recording_id}/transcript/runs",
    status_code=202,
    summary="Have another model listen",
    dependencies=[Depends(rate_limit(RUN, per_credential=True))],
    responses=problems(
        *REFUSED, RecordingUnfinished, RunUnderWay, ModelNotOffered, ModelUnknown, CrossSite
    ),
)
async def add_run(
    recording_id: UUID,
    body: NewRun,
    services: ServicesDep,
    session: SessionDep,
    principal: CallerDep,
) -> RunOut:
    """It is published when it is done; edits are kept, and those that no longer fit are shown as
    conflicts. What is published until then stays. `repeats` says that the model is the one whose
    transcript is read."""
    await listened_room(session, principal, recording_id, Action.TRANSCRIBE)
    settings = services.settings
    if body.model not in (
        runs.DEFAULT_MODEL,
        settings.transcribe_model,
        *settings.transcribe_choices,
    ):
        raise ModelNotOffered(f"{body.model} is not among the models that may be asked for here.")
    run = await runs.request_run(
        session,
        recording_id,
        model=body.model,
        own_model=settings.transcribe_model,
        requested_by=principal.user_id,
    )
    source = (await reading.progress(session, recording_id)).source
    name = settings.transcribe_model if body.model == runs.DEFAULT_MODEL else None
    return RunOut.of(run, source, name=name)


@router.post(
    "/recordings/{recording_id}/transcript/runs/{run_id}/publish",
    summary="Publish a run",
    dependencies=[Depends(rate_limit(RUN, per_credential=True))],
    responses=problems(*REFUSED, RunUnfinished, CrossSite),
)
async def publish_run(
    recording_id: UUID, run_id: UUID, session: SessionDep, principal: CallerDep
) -> RunOut:
    """Goes back to what an earlier model heard, or forth again, with all edits."""
    await listened_room(session, principal, recording_id, Action.TRANSCRIBE)
    run = await runs.publish_again(session, recording_id, run_id)
    return RunOut.of(run, run)
