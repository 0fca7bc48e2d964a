"""What is read of a run: cues, what is missing, the version, and who is told."""

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.webhooks.models import WebhookDelivery, WebhookEndpoint
from rooms.models import RoomEvent
from tests.rooms.conftest import House, make_house
from tests.transcripts.heard import Heard, make_heard, spoken
from transcripts.models import Missing
from transcripts.publication import PUBLISHED


@pytest.fixture
async def heard(session: AsyncSession) -> Heard:
    return await make_heard(await make_house(session))


async def test_publishes_each_speakers_words(heard: Heard) -> None:
    ada, grace = await heard.speaker("Ada"), await heard.speaker("Grace")
    run = await heard.run({ada: spoken("Hello there."), grace: spoken("Welcome, all.", 100)})
    transcript = await heard.publish(run)
    assert (transcript.version, transcript.run_id) == (1, run.id)
    cues = await heard.cues()
    assert [(c.participant_id, " ".join(c.text.split())) for c in cues] == [
        (ada.id, "Hello there."),
        (grace.id, "Welcome, all."),
    ]
    assert cues[0].words == [[0, 300, "Hello", 0.9], [400, 700, "there.", 0.9]]
    assert cues[0].language == "en"
    assert cues[0].confidence == pytest.approx(0.9)
    assert not cues[0].edited


async def test_another_run_replaces_all_and_keeps_what_is_equal(heard: Heard) -> None:
    ada, grace = await heard.speaker("Ada"), await heard.speaker("Grace")
    await heard.publish(
        await heard.run({ada: spoken("one two"), grace: spoken("three four", 60_000)})
    )
    before = {c.text: c.id for c in await heard.cues()}
    better = await heard.run({ada: spoken("one two")})
    assert (await heard.publish(better)).version == 2
    after = {c.text: c.id for c in await heard.cues()}
    assert after == {"one two": before["one two"]}


async def test_names_what_is_missing(heard: Heard, session: AsyncSession) -> None:
    ada = await heard.speaker("Ada")
    run = await heard.run({ada: spoken("hello")}, missing=[(5000, 9000)])
    await heard.publish(run)
    await heard.publish(run)
    rows = await session.scalars(
        sa.select(Missing).where(Missing.recording_id == heard.recording.id)
    )
    assert [(m.participant_id, m.start_ms, m.end_ms) for m in rows] == [(ada.id, 5000, 9000)]


async def test_tells_the_room_and_the_platform(heard: Heard, session: AsyncSession) -> None:
    endpoint = WebhookEndpoint(
        platform_id=heard.room.platform_id, url="https://hooks.example.com", secret=b"x"
    )
    session.add(endpoint)
    ada = await heard.speaker("Ada")
    run = await heard.run({ada: spoken("hello")})
    await heard.publish(run)
    told: dict[str, Any] = {
        "recording_id": str(heard.recording.id),
        "version": 1,
        "run_id": str(run.id),
    }
    events = sa.select(RoomEvent).where(RoomEvent.room_id == heard.room.id)
    event = (await session.scalars(events)).one()
    assert (event.kind, event.data) == (PUBLISHED, told)
    owed = sa.select(WebhookDelivery).where(WebhookDelivery.endpoint_id == endpoint.id)
    delivery = (await session.scalars(owed)).one()
    assert (delivery.kind, delivery.data) == (PUBLISHED, {"room_id": str(heard.room.id), **told})


async def test_silence_is_a_transcript_too(house: House, session: AsyncSession) -> None:
    heard = await make_heard(house)
    ada = await heard.speaker("Ada")
    transcript = await heard.publish(await heard.run({ada: []}))
    assert transcript.version == 1
    assert await heard.cues() == []
