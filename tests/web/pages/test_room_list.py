from datetime import UTC, datetime, timedelta

import pytest

from ingest.models import IngestWorker, Recording, Rendition
from rooms.groups import create_group
from rooms.lifecycle import end_room
from rooms.models import Participant, Room, Visibility
from tests.rooms.conftest import House
from tests.web.pages.conftest import Look, ended, live, made
from web.pages.languages import language_name


async def add_track(house: House, room: Room, own: Participant) -> None:
    """As the receiver and the uploader leave it once somebody spoke."""
    now = datetime.now(UTC)
    worker = IngestWorker(whip_url="http://ingest.test", started_at=now, heartbeat_at=now)
    house.session.add(worker)
    await house.session.flush()
    assert room.recording_id is not None
    house.session.add(
        Recording(
            id=room.recording_id,
            room_id=room.id,
            platform_id=room.platform_id,
            worker_id=worker.id,
            epoch=1,
            live_at=now,
        )
    )
    await house.session.flush()
    for participant_id, name in ((None, "mix"), (own.id, f"track-{own.id}")):
        house.session.add(
            Rendition(
                recording_id=room.recording_id,
                name=name,
                participant_id=participant_id,
                codec="mp4a.40.2",
                init_key=f"{name}/init.mp4",
                init_bytes=1,
            )
        )
    await house.session.flush()


async def test_an_empty_site_says_so(house: House, look: Look) -> None:
    assert "Nobody is talking right now" in await look(house.stranger).text("/")


async def test_rooms_stand_under_what_they_are(house: House, look: Look) -> None:
    await made(house, "Tomorrow")
    await live(house, "Right now", topics=("radio",), language="it")
    await ended(house, "Last night")
    html = await look(house.stranger).text("/")
    assert html.index("Right now") < html.index("Tomorrow") < html.index("Last night")
    assert ">radio<" in html
    assert '<span class="pill" lang="it">Italiano</span>' in html
    assert html.index("Right now") < html.index("You missed it") < html.index("Last night")


async def test_a_live_room_shows_who_is_on_stage(house: House, look: Look) -> None:
    await live(house, "Right now")
    html = await look(house.stranger).text("/")
    assert "REC" in html
    assert ">Host<" in html


async def test_an_ended_room_shows_what_it_was_about_and_who_spoke(
    house: House, look: Look
) -> None:
    room = await live(house, "Last night", description="On radio")
    _, own = await house.speaker(room)
    await house.listener(room, "Only listened")
    await add_track(house, room, own)
    await end_room(house.session, principal=house.hosting, room_id=room.id)
    began = datetime.now(UTC) - timedelta(days=2)
    room.live_at, room.duration_ms = began, 5_400_000
    await house.session.flush()
    html = await look(house.stranger).text("/")
    assert f'<time datetime="{began.isoformat()}" data-day>' in html, "when it began, not ended"
    assert "</time> · 1 h 30 min<" in html
    assert "On radio" in html
    assert ">speaker<" in html, "whoever has a track"
    assert "Only listened" not in html


@pytest.mark.parametrize(
    ("tag", "name"),
    [("en", "English"), ("pt-BR", "Português (BR)"), ("EN", "English"), ("xx-yy", "xx-yy")],
)
def test_languages_have_names(tag: str, name: str) -> None:
    assert language_name(tag) == name


async def test_what_cannot_be_a_topic_is_nowhere(house: House, look: Look) -> None:
    assert (await look(house.stranger).get("/?topic=a%00b")).status_code == 404


async def test_a_topic_narrows_the_list(house: House, look: Look) -> None:
    await live(house, "On radio", topics=("radio",))
    await live(house, "On jazz", topics=("jazz",))
    html = await look(house.stranger).text("/?topic=radio")
    assert "On radio" in html
    assert "On jazz" not in html


async def test_group_rooms_are_listed_to_members_only(house: House, look: Look) -> None:
    group = await create_group(house.session, principal=house.hosting, name="Choir")
    await live(house, "Rehearsal", visibility=Visibility.GROUP, group_id=group.id)
    assert "Rehearsal" in await look(house.hosting).text("/")
    assert "Rehearsal" not in await look(await house.user()).text("/")
    assert "Rehearsal" not in await look(house.stranger).text("/")


async def test_unlisted_rooms_open_by_link_only(house: House, look: Look) -> None:
    room = await live(house, "By the back door", visibility=Visibility.UNLISTED)
    stranger = look(house.stranger)
    assert "By the back door" not in await stranger.text("/")
    assert "By the back door" in await stranger.text(f"/rooms/{room.id}")


async def test_only_people_open_rooms(house: House, look: Look) -> None:
    refused = await look(house.stranger).get("/rooms/new")
    assert refused.status_code == 401
    assert '/sign-in?next=/rooms/new"' in refused.text
    assert 'name="record_from_start"' in await look(house.hosting).text("/rooms/new")


async def test_the_form_offers_the_groups_one_belongs_to(house: House, look: Look) -> None:
    group = await create_group(house.session, principal=house.hosting, name="Choir")
    assert f'value="{group.id}"' in await look(house.hosting).text("/rooms/new")
    assert f'value="{group.id}"' not in await look(await house.user()).text("/rooms/new")


async def test_without_scripts_the_list_can_be_read_and_says_what_is_missing(
    house: House, look: Look
) -> None:
    await live(house, "Right now")
    html = await look(house.stranger).text("/")
    assert "These pages need JavaScript" in html.split("<noscript>")[1].split("</noscript>")[0]
    assert "Right now" in html
