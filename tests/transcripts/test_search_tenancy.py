"""What is said on other platforms changes nothing that is found, or suggested."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import STRANGER
from tests.rooms.conftest import make_house
from tests.transcripts.archive import Archive, make_archive
from transcripts.reach import Effort
from transcripts.search import Found
from transcripts.stemming import PLATFORM_KEY, platform_key

ASKED: list[dict[str, Any]] = [
    {"text": "boat"},
    {"text": "the boat or sea", "effort": Effort(most_looked_up=2)},
    {"text": "sea", "effort": Effort(common=0, enough_matches=2, most_cues=2)},
    {"text": "sea", "effort": Effort(common=2, few=0, enough_matches=2)},
    {"text": "boa", "prefix": True},
    {"text": "lighthuose"},
    {"text": "volccano"},
    {"text": "submarine"},
    {"text": "the"},
]


async def all_found(archive: Archive) -> list[Found]:
    return [await archive.find(**wanted) for wanted in ASKED]


async def test_what_others_say_changes_nothing(session: AsyncSession, archive: Archive) -> None:
    """Of the answers. How they are looked up follows PostgreSQL's statistics (ADR 0026)."""
    for line in ("a boat left", "the sea", "a lighthouse by the sea"):
        await archive.recording(line)
    await archive.analyze()
    before = await all_found(archive)
    other = await make_archive(await make_house(session))
    for _ in range(4):
        await other.recording("a boat on the sea", "board a submarine", "a lighthuose, a volcano")
    await other.recording("le the, la boat", language="fr")
    await archive.analyze()
    assert await all_found(archive) == before
    assert [one.did_you_mean for one in before][5:7] == ["lighthouse", None]
    assert before[-1].ignored == ["the"]
    assert (await archive.find("boat", STRANGER)).recordings == []


async def test_a_platforms_key_is_the_same_in_sql(session: AsyncSession, archive: Archive) -> None:
    key = sa.text(f"select {PLATFORM_KEY} from (select cast(:id as uuid) as platform_id) as one")
    platform_id = archive.house.platform.id
    assert await session.scalar(key, {"id": platform_id}) == platform_key(platform_id)
