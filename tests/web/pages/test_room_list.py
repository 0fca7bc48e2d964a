from rooms.groups import create_group
from rooms.models import Visibility
from tests.rooms.conftest import House
from tests.web.pages.conftest import Look, ended, live, made


async def test_an_empty_site_says_so(house: House, look: Look) -> None:
    assert "Nobody is talking right now" in await look(house.stranger).text("/")


async def test_rooms_stand_under_what_they_are(house: House, look: Look) -> None:
    await made(house, "Tomorrow")
    await live(house, "Right now", topics=("radio",), language="it")
    await ended(house, "Last night")
    html = await look(house.stranger).text("/")
    assert html.index("Right now") < html.index("Tomorrow") < html.index("Last night")
    assert ">radio<" in html
    assert ">it<" in html
    assert html.index("Right now") < html.index("You missed it") < html.index("Last night")


async def test_a_live_room_shows_who_is_on_stage(house: House, look: Look) -> None:
    await live(house, "Right now")
    html = await look(house.stranger).text("/")
    assert "REC" in html
    assert ">Host<" in html


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
