from datetime import UTC, datetime, timedelta

import asyncpg
import sqlalchemy as sa

from core.auth.models import LoginSession, MailPurpose, MailToken
from core.ids import uuid7
from core.progress import report_progress
from rooms.participation import set_consent
from tests import factories
from tests.rooms.conftest import make_house
from tests.transcripts.heard import make_heard, spoken
from tests.transcripts.test_erasure import grow_old, held
from workers.cleanup import clean_up
from workers.kinds import Tools

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


async def test_sign_ins_and_mail_tokens_go_a_day_after_their_end(tools: Tools) -> None:
    ends = {
        "valid": (NOW + DAY, None),
        "just expired": (NOW - DAY / 2, None),
        "long expired": (NOW - 2 * DAY, None),
        "long closed": (NOW + DAY, NOW - 2 * DAY),
    }
    kept = {"valid", "just expired"}
    names: dict[bytes, str] = {}
    async with tools.database.transaction() as session:
        user = await factories.make_user(session)
        for name, (expires, ended) in ends.items():
            digest = uuid7().bytes
            names[digest] = name
            owner = {"user_id": user.id, "secret_sha256": digest, "expires_at": expires}
            session.add(LoginSession(**owner, revoked_at=ended))
            session.add(MailToken(**owner, used_at=ended, purpose=MailPurpose.VERIFY_EMAIL))
    await clean_up(tools)
    async with tools.database.transaction() as session:
        for model in (LoginSession, MailToken):
            left = await session.scalars(
                sa.select(model.secret_sha256).where(model.user_id == user.id)
            )
            assert {names[digest] for digest in left} == kept


async def test_old_job_logs_and_progress_go(tools: Tools, queue: asyncpg.Connection) -> None:
    async with tools.database.transaction() as session:
        await report_progress(session, kind="test", subject="old", done=1)
        await report_progress(session, kind="test", subject="new", done=1)
    await queue.execute(
        "update job_progress set updated_at = now() - interval '31 days' where subject = 'old'"
    )
    for age, aggregated in ((31, True), (31, False), (29, True)):
        await queue.execute(
            "insert into pgqueuer_log (job_id, status, entrypoint, priority, created, aggregated)"
            " values (1, 'successful', 'test', 0, now() - make_interval(days => $1), $2)",
            age,
            aggregated,
        )
    await clean_up(tools)
    subjects = [row["subject"] for row in await queue.fetch("select subject from job_progress")]
    assert subjects == ["new"]
    assert await queue.fetchval("select count(*) from pgqueuer_log") == 2


async def test_the_cleanup_erases_them(tools: Tools) -> None:
    async with tools.database.transaction() as session:
        heard = await make_heard(await make_house(session))
        some = [await heard.speaker(name) for name in ("Ada", "Grace")]
        await heard.publish(await heard.run({who: spoken("hello sea") for who in some}))
        for name in ("Ada", "Grace"):
            caller = factories.as_user(heard.people[name][0])
            await set_consent(session, principal=caller, room_id=heard.room.id, consent=False)
        await grow_old(session)
    await clean_up(tools)
    async with tools.database.transaction() as session:
        assert [await held(session, who) for who in some] == [0, 0]
