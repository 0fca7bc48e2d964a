"""Deletes what has served its time: sign-ins, mail tokens, buckets, deliveries, job logs, and
words of speakers who withdrew their consent or that nobody said after all."""

import logging
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from core.auth.models import LoginSession, MailToken
from core.buckets import forget_idle_buckets
from core.progress import JobProgress
from core.webhooks.service import forget_deliveries
from transcripts.erasure import erase_words, withdrawn_speakers
from transcripts.indexing import forget_unsaid_stems
from workers.kinds import Tools

log = logging.getLogger(__name__)

KEPT_AFTER_END: Final = timedelta(days=1)
JOB_LOG_LIFE: Final = timedelta(days=30)


async def clean_up(tools: Tools) -> None:
    """Each kind in a transaction of its own, so that one that fails keeps none of the others."""
    for forget in (
        forget_sign_ins,
        forget_mail_tokens,
        forget_idle_buckets,
        forget_deliveries,
        forget_job_logs,
        forget_progress,
        forget_unsaid_stems,
    ):
        async with tools.database.transaction() as session:
            count = await forget(session)
        if count:
            log.info("%s: %d rows", forget.__name__, count)
    if count := await _erase_withdrawn_words(tools):
        log.info("erased the words of %d speakers", count)


async def _erase_withdrawn_words(tools: Tools) -> int:
    """Each speaker in a transaction: none waits for the lock of a room while holding another's."""
    async with tools.database.transaction() as session:
        due = await withdrawn_speakers(session)
    count = 0
    for room_id, participant_id in due:
        async with tools.database.transaction() as session:
            count += await erase_words(session, room_id, participant_id)
    return count


async def forget_sign_ins(session: AsyncSession) -> int:
    """Sessions a day after they expired or were closed."""
    ended = sa.func.least(LoginSession.expires_at, LoginSession.revoked_at)
    return await _delete(session, sa.delete(LoginSession).where(_past(ended, KEPT_AFTER_END)))


async def forget_mail_tokens(session: AsyncSession) -> int:
    """Tokens a day after they expired or were used."""
    ended = sa.func.least(MailToken.expires_at, MailToken.used_at)
    return await _delete(session, sa.delete(MailToken).where(_past(ended, KEPT_AFTER_END)))


async def forget_progress(session: AsyncSession) -> int:
    """Rows of jobs that told nothing for a month."""
    old = _past(JobProgress.updated_at, JOB_LOG_LIFE)
    return await _delete(session, sa.delete(JobProgress).where(old))


async def forget_job_logs(session: AsyncSession) -> int:
    """pgqueuer's log, a month after it was counted into its statistics."""
    log_table = sa.table("pgqueuer_log", sa.column("created"), sa.column("aggregated"))
    old = sa.and_(log_table.c.aggregated, _past(log_table.c.created, JOB_LOG_LIFE))
    return await _delete(session, sa.delete(log_table).where(old))


def _past(
    moment: sa.ColumnElement[Any] | InstrumentedAttribute[Any], age: timedelta
) -> sa.ColumnElement[bool]:
    return moment < sa.func.now() - sa.literal(age, sa.Interval())


async def _delete(session: AsyncSession, statement: sa.Delete) -> int:
    result = await session.execute(statement.execution_options(synchronize_session=False))
    return int(result.rowcount)  # type: ignore[attr-defined] # a DELETE's result has it
