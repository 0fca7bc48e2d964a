"""Runs: asked for, planned, carried out window by window, done; every step a transaction.

Windows are what a killed worker is resumed by: each is written once, whoever decodes it, and the
same sound gives the same words, so two workers over one run waste time and harm nothing.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Conflict, NotFound, Problem
from core.queue import enqueue, is_under_way
from ingest.models import Recording, RecordingStatus
from replay.holdings import UnknownRecording
from transcripts.hub import check_name
from transcripts.models import UNDER_WAY, Run, RunStatus, RunTrack, TrackLanguage, Window
from transcripts.publication import publish
from transcripts.words import Word

if TYPE_CHECKING:  # numpy, which neither pages nor other workers need
    from transcripts.pipeline import TrackPlan, WindowResult
    from transcripts.transcriber import Model

MAKE_JOB: Final = "transcript.make"
DEFAULT_MODEL: Final = "default"
"""The one in the settings of the machine that takes the run; its name replaces this then."""


class RunSuperseded(Problem):
    status = 409
    code = "run_superseded"
    title = "The recording has another revision, which has a run of its own"


class RunUnknown(NotFound):
    code = "run_unknown"
    title = "There is no such run of this recording"


class RunUnderWay(Conflict):
    code = "run_under_way"
    title = "This model listens already"


class RunUnfinished(Conflict):
    code = "run_unfinished"
    title = "Only a run that is done can be published"


class RecordingUnfinished(Conflict):
    code = "recording_unfinished"
    title = "The recording has not ended, or is not stored yet"


async def request_first_run(session: AsyncSession, recording: Recording) -> Run | None:
    """That which follows the end of a recording; None where this revision has had one.

    The caller holds the room's lock.
    """
    query = sa.select(Run.id).where(
        Run.recording_id == recording.id,
        Run.revision == recording.revision,
        Run.requested_by.is_(None),
    )
    if await session.scalar(query.limit(1)) is not None:
        return None
    return await _add(session, recording, DEFAULT_MODEL, None)


async def request_run(
    session: AsyncSession,
    recording_id: UUID,
    *,
    model: str,
    own_model: str,
    requested_by: UUID | None,
) -> Run:
    """Another run over a recording that is stored; it is published when it is done.

    `own_model` is what DEFAULT_MODEL stands for here: a run has its name once it is planned.
    Raises ModelUnknown, UnknownRecording, RecordingUnfinished, RunUnderWay.
    """
    if model != DEFAULT_MODEL:
        check_name(model)
    recording = await session.get(Recording, recording_id, with_for_update={"key_share": True})
    if recording is None:
        raise UnknownRecording(f"There is no recording {recording_id}.")
    if recording.status is not RecordingStatus.STORED:
        raise RecordingUnfinished
    same = sa.select(Run.id).where(
        Run.recording_id == recording.id,
        Run.revision == recording.revision,
        Run.model.in_((model, *_namesakes(model, own_model))),
        Run.status.in_(UNDER_WAY),
    )
    if await session.scalar(same.limit(1)) is not None:
        raise RunUnderWay(f"{model} listens to it already.")
    return await _add(session, recording, model, requested_by)


def _namesakes(model: str, own_model: str) -> tuple[str, ...]:
    same = (DEFAULT_MODEL, own_model)
    return same if model in same else ()


async def publish_again(session: AsyncSession, recording_id: UUID, run_id: UUID) -> Run:
    """Makes a run that is done what is read. Raises RunUnknown, RunUnfinished."""
    run = await session.get(Run, run_id)
    if run is None or run.recording_id != recording_id:
        raise RunUnknown
    if run.status is not RunStatus.DONE:
        raise RunUnfinished(f"The run is {run.status.value}.")
    await publish(session, recording_id=recording_id, run_id=run.id)
    return run


async def _add(
    session: AsyncSession, recording: Recording, model: str, requested_by: UUID | None
) -> Run:
    run = Run(
        recording_id=recording.id,
        revision=recording.revision,
        model=model,
        requested_by=requested_by,
    )
    session.add(run)
    await session.flush()
    await enqueue(session, MAKE_JOB, {"run_id": str(run.id)}, dedupe_key=str(run.id))
    return run


async def begin(session: AsyncSession, run_id: UUID) -> Run | None:
    """The run, running from now on; None where nothing of it is left to do.

    One that had failed too: only who puts its job back into the queue has it begun again.
    Raises RunSuperseded.
    """
    run = await _locked(session, run_id)
    if run is None or run.status is RunStatus.DONE:
        return None
    await _check_revision(session, run)
    if run.status is not RunStatus.RUNNING:
        run.status, run.started_at = RunStatus.RUNNING, run.started_at or sa.func.now()
        run.error_code = run.finished_at = None
    return run


async def _check_revision(session: AsyncSession, run: Run) -> None:
    revision = sa.select(Recording.revision).where(Recording.id == run.recording_id)
    if await session.scalar(revision) != run.revision:
        raise RunSuperseded


async def store_plan(
    session: AsyncSession, run_id: UUID, model: "Model", plans: Mapping[UUID, "TrackPlan"]
) -> None:
    """Of each participant. The first one stays: another worker's is the same."""
    run = await _locked(session, run_id)
    if run is None or run.model_digest is not None:
        return
    run.model, run.model_digest, run.compute_type = model.name, model.digest, model.compute_type
    session.add_all(_run_track(run_id, who, plan) for who, plan in plans.items())
    await session.flush()
    session.add_all(
        Window(
            run_id=run_id,
            participant_id=who,
            number=window.number,
            regions=[list(span) for span in window.regions],
        )
        for who, plan in plans.items()
        for window in plan.windows
    )
    await session.flush()


def _run_track(run_id: UUID, who: UUID, plan: "TrackPlan") -> RunTrack:
    return RunTrack(
        run_id=run_id,
        participant_id=who,
        language=plan.language,
        language_probability=plan.language_probability,
        speech_ms=plan.speech_ms,
    )


async def take_over(session: AsyncSession, run_id: UUID, model: "Model") -> None:
    """A run that was begun with other weights is heard anew, so that one model has heard all."""
    run = await _locked(session, run_id)
    heard_with = run and (run.model_digest, run.compute_type)
    if run is None or heard_with == (model.digest, model.compute_type):
        return
    run.model, run.model_digest, run.compute_type = model.name, model.digest, model.compute_type
    await session.execute(
        sa.update(Window)
        .where(Window.run_id == run_id)
        .values(words=sa.null(), missing=[], decoded_at=None)
        .execution_options(synchronize_session=False)
    )


async def waiting_windows(session: AsyncSession, run_id: UUID) -> list[tuple[Window, str | None]]:
    """What has not been decoded, and its language; speaker by speaker."""
    track = sa.and_(
        RunTrack.run_id == Window.run_id, RunTrack.participant_id == Window.participant_id
    )
    rows = await session.execute(
        sa.select(Window, RunTrack.language)
        .join(RunTrack, track)
        .where(Window.run_id == run_id, Window.words.is_(None))
        .order_by(Window.participant_id, Window.number)
    )
    return [(window, language) for window, language in rows]


async def store_window(session: AsyncSession, window: Window, result: "WindowResult") -> None:
    """Writes a window's result unless somebody has."""
    await session.execute(
        sa.update(Window)
        .where(
            Window.run_id == window.run_id,
            Window.participant_id == window.participant_id,
            Window.number == window.number,
            Window.words.is_(None),
        )
        .values(
            words=[_as_json(word) for word in result.words],
            missing=[list(span) for span in result.missing],
            decoded_at=sa.func.now(),
        )
        .execution_options(synchronize_session=False)
    )


def _as_json(word: Word) -> list[Any]:
    return [word.start_ms, word.end_ms, word.text, word.confidence]


async def finish(session: AsyncSession, run_id: UUID) -> bool:
    """Done and published, once; whether this call did it. All windows must have words.

    Raises RunSuperseded: the other revision's run may be published already.
    """
    run = await _locked(session, run_id)
    if run is None or run.status is not RunStatus.RUNNING:
        return False
    await _check_revision(session, run)
    waiting = sa.select(sa.exists().where(Window.run_id == run_id, Window.words.is_(None)))
    if await session.scalar(waiting):
        return False
    run.status, run.finished_at, run.error_code = RunStatus.DONE, sa.func.now(), None
    await session.flush()
    await publish(session, recording_id=run.recording_id, run_id=run.id)
    return True


async def stumble(session: AsyncSession, run_id: UUID, error_code: str, *, for_good: bool) -> None:
    """Tells why the run waits for another attempt, or, `for_good`, that there will be none."""
    run = await _locked(session, run_id)
    if run is None or run.status not in UNDER_WAY:
        return
    run.error_code = error_code
    if for_good:
        run.status, run.finished_at = RunStatus.FAILED, sa.func.now()


async def give_up(session: AsyncSession) -> Sequence[UUID]:
    """Fails the runs of which the queue holds the job after its last try, or lost it.

    Whatever ended it: a job's own last words would need the database that may have been away.
    """
    forsaken = sa.update(Run).where(
        Run.status.in_(UNDER_WAY), ~is_under_way(MAKE_JOB, sa.cast(Run.id, sa.Text))
    )
    reason = sa.func.coalesce(Run.error_code, Problem.code)
    failed = forsaken.values(status=RunStatus.FAILED, finished_at=sa.func.now(), error_code=reason)
    ids = failed.returning(Run.id).execution_options(synchronize_session=False)
    return (await session.scalars(ids)).all()


async def chosen_languages(session: AsyncSession, participants: Sequence[UUID]) -> dict[UUID, str]:
    """Of those of them whose language a person has set."""
    rows = await session.execute(
        sa.select(TrackLanguage.participant_id, TrackLanguage.language).where(
            TrackLanguage.participant_id.in_(participants)
        )
    )
    return {row.participant_id: row.language for row in rows}


async def _locked(session: AsyncSession, run_id: UUID) -> Run | None:
    return await session.scalar(
        sa.select(Run)
        .where(Run.id == run_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
