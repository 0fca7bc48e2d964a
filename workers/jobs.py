"""The jobs there are. Bodies are thin: what they do belongs to the package that owns it."""

import logging
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from core.errors import Problem
from core.mail import SEND_JOB, Letter, MailRefused
from core.queue import enqueue
from core.webhooks.delivery import deliver
from core.webhooks.service import DELIVER_JOB, emit
from ingest.fleet import is_awaited
from ingest.models import Recording
from ingest.rows import RECORDING_FINISHED
from payouts.checkpoints import take_checkpoints
from payouts.leaving import LEFT_JOB, forget_in_rooms, left_within
from replay.compaction import COMPACT_JOB, SWEEP_JOB, compact, sweep
from rooms.events import record_event
from rooms.models import Room, RoomEvent
from transcripts import leaving, runs
from workers.abandoned import end_abandoned_rooms
from workers.cleanup import clean_up
from workers.kinds import Chore, JobKind, Queue, Tools
from workers.money import MONEY_CHORES, MONEY_JOBS
from workers.retry import is_transient

log = logging.getLogger(__name__)

SALVAGE_TIME: Final = timedelta(minutes=2)
"""How long compaction waits for a worker that has yet to bring in what it had not stored."""

LATELY: Final = timedelta(hours=1)
"""Much longer than any request, and than this chore may be held up."""


async def send_letter(tools: Tools, payload: dict[str, Any]) -> None:
    letter = Letter.from_payload(payload, tools.secret)
    try:
        await tools.mailer.send(letter)
    except MailRefused as refused:
        # Kept as a failed job it would only keep an address that takes no mail.
        log.warning("letter %s dropped: %s", letter.id, refused.detail)


async def deliver_webhook(tools: Tools, payload: dict[str, Any]) -> None:
    await deliver(
        tools.database,
        tools.sender,
        installation_secret=tools.secret,
        delivery_id=UUID(payload["delivery_id"]),
    )


async def recording_finished(tools: Tools, payload: dict[str, Any]) -> None:
    """Tells the room and the platform, once: the durable event is the guard.

    Each revision is compacted and transcribed.
    """
    async with tools.database.transaction() as session:
        recording = await session.get(Recording, UUID(payload["recording_id"]))
        if recording is None:
            return
        room = await session.get_one(Room, recording.room_id, with_for_update=True)
        await enqueue(
            session,
            COMPACT_JOB,
            {"recording_id": str(recording.id)},
            dedupe_key=f"{recording.id}/{recording.revision}",
            delay=SALVAGE_TIME if await is_awaited(session, recording.id) else None,
        )
        if tools.settings.transcripts:
            await runs.request_first_run(session, recording)
        told = sa.select(RoomEvent.seq).where(
            RoomEvent.room_id == room.id, RoomEvent.kind == RECORDING_FINISHED
        )
        if await session.scalar(told) is not None:
            return
        data = {
            "recording_id": str(recording.id),
            "media_ms": (recording.media_samples or 0) // 48,
            "packets_received": recording.packets_received,
            "packets_lost": recording.packets_lost,
        }
        await emit(
            session,
            platform_id=recording.platform_id,
            kind=RECORDING_FINISHED,
            data={"room_id": str(room.id), **data},
        )
        await record_event(session, room, RECORDING_FINISHED, data=data)


async def compact_recording(tools: Tools, payload: dict[str, Any]) -> None:
    scratch = tools.settings.data_dir / "compaction"
    await compact(tools.database, tools.store, UUID(payload["recording_id"]), scratch=scratch)


async def sweep_recording(tools: Tools, payload: dict[str, Any]) -> None:
    await sweep(tools.database, tools.store, UUID(payload["recording_id"]))


async def make_transcript(tools: Tools, payload: dict[str, Any]) -> None:
    """Why it is not made is said where people look for it."""
    from transcripts.making import make  # codecs: memory that other workers need not have

    run_id = UUID(payload["run_id"])
    scratch = tools.settings.data_dir / "scratch"
    try:
        await make(tools.database, tools.store, tools.engine, run_id, scratch=scratch)
    except Exception as error:
        code = error.code if isinstance(error, Problem) else Problem.code
        async with tools.database.transaction() as session:
            await runs.stumble(session, run_id, code, for_good=not is_transient(error))
        if not isinstance(error, runs.RunSuperseded):
            raise


async def forget_person(tools: Tools, payload: dict[str, Any]) -> None:
    """Who has left, in what transcripts call them, and what rooms were told in that moment."""
    user_id = UUID(payload["user_id"])
    async with tools.database.transaction() as session:
        await forget_in_rooms(session, user_id)
        recordings = await leaving.recordings_with(session, user_id)
    for recording_id in recordings:
        async with tools.database.transaction() as session:
            await leaving.forget_names(session, recording_id, user_id)


async def forget_lately_left(tools: Tools) -> None:
    """Again: a request that began before they left may tell their name after the job, as a tip does
    that waits for a wallet."""
    async with tools.database.transaction() as session:
        found = await left_within(session, LATELY)
    for user_id in found:
        async with tools.database.transaction() as session:
            await forget_in_rooms(session, user_id)


async def fail_given_up_runs(tools: Tools) -> None:
    """Nobody works on them any more: hosts see why, and may ask again."""
    async with tools.database.transaction() as session:
        for run_id in await runs.give_up(session):
            log.error("run %s was given up", run_id)


async def checkpoint_ledger(tools: Tools) -> None:
    if not await take_checkpoints(tools.database):
        log.warning("no checkpoints of the ledger: a transaction has been open for a minute")


JOBS: Final = (
    JobKind(SEND_JOB, send_letter, at_once=4),
    JobKind(DELIVER_JOB, deliver_webhook, at_once=20),
    JobKind(RECORDING_FINISHED, recording_finished, at_once=4),
    JobKind(COMPACT_JOB, compact_recording, at_once=2),
    JobKind(SWEEP_JOB, sweep_recording, at_once=2),
    JobKind(LEFT_JOB, forget_person, at_once=1),
    JobKind(runs.MAKE_JOB, make_transcript, at_once=None, queue=Queue.TRANSCRIBE),
    *MONEY_JOBS,
)
CHORES: Final = (
    Chore("cleanup", "17 * * * *", clean_up),
    Chore("abandoned_rooms", "* * * * *", end_abandoned_rooms),
    Chore("lately_left", "*/10 * * * *", forget_lately_left),
    Chore("given_up_runs", "* * * * *", fail_given_up_runs),
    Chore("ledger_checkpoints", "41 * * * *", checkpoint_ledger),
    *MONEY_CHORES,
)
