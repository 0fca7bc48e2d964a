"""The page that finds what was said."""

import pytest

from tests.rooms.conftest import House
from tests.transcripts.archive import make_archive
from tests.web.pages.conftest import Look


async def test_a_box_in_every_header_but_its_own(house: House, look: Look) -> None:
    assert 'action="/search"' in await look(house.stranger).text("/")
    html = await look(house.stranger).text("/search")
    assert html.count('action="/search"') == 1
    assert "moments in" not in html


async def test_marks_what_was_found_and_leads_to_its_second(house: House, look: Look) -> None:
    archive = await make_archive(house)
    room = await archive.recording("a " * 10 + "boat & <b>sea</b>", title="Deep <water>")
    html = await look(house.stranger).text("/search?q=sea")
    assert "1 moment in 1 recording." in html
    assert "Deep &lt;water&gt;" in html
    assert "boat &amp; &lt;b&gt;<mark>sea</mark>&lt;/b&gt;" in html
    assert f'href="/rooms/{room.id}?q=sea#t=4800"' in html


async def test_leads_to_all_moments_of_one_recording(house: House, look: Look) -> None:
    archive = await make_archive(house)
    room = await archive.recording(*["the boats left"] * 5)
    html = await look(house.stranger).text("/search?q=boat&sort=date")
    address = f"/search?q=boat&amp;sort=date&amp;recording={room.recording_id}"
    assert f'href="{address}"' in html
    inside = await look(house.stranger).text(address.replace("&amp;", "&"))
    assert "only in this recording" in inside


async def test_pages_on(house: House, look: Look) -> None:
    archive = await make_archive(house)
    for number in range(3):
        await archive.recording("a boat", title=f"Part {number}")
    first = await look(house.stranger).text("/search?q=boat&sort=date&limit=2")
    assert "Part 2" in first
    assert "Part 0" not in first
    after = first.split('class="button" href="')[1].split('"')[0].replace("&amp;", "&")
    assert "Part 0" in await look(house.stranger).text(after)


async def test_says_when_there_is_nothing(house: House, look: Look) -> None:
    archive = await make_archive(house)
    await archive.recording("about a lighthouse")
    html = await look(house.stranger).text("/search?q=lighthuose")
    assert "Nobody said that" in html
    assert 'href="/search?q=lighthouse">lighthouse</a>?' in html
    assert "at least one word" in await look(house.stranger).text("/search?q=-boat")


async def test_keeps_what_was_found_while_it_was_typed(house: House, look: Look) -> None:
    archive = await make_archive(house)
    for number in range(2):
        await archive.recording("a lighthouse", title=f"Part {number}")
    html = await look(house.stranger).text("/search?q=lightho&limit=1")
    assert "2 moments in 2 recordings" in html
    after = html.split('class="button" href="')[1].split('"')[0].replace("&amp;", "&")
    assert "Part" in await look(house.stranger).text(after)


async def test_says_that_words_are_too_common(house: House, look: Look) -> None:
    archive = await make_archive(house)
    await archive.recording("the sea")
    await archive.recording("il mare", language="it")
    html = await look(house.stranger).text("/search?q=the")
    assert "Only very common words" in html
    assert "Nobody said" not in html


@pytest.mark.parametrize("query", ["q=boat&language=&sort=&topic=&recording=", "q=", "q=%20"])
async def test_a_form_without_scripts_sends_empty_fields(
    house: House, look: Look, query: str
) -> None:
    assert (await look(house.stranger).get(f"/search?{query}")).status_code == 200


async def test_hidden_rooms_stay_hidden(house: House, look: Look) -> None:
    archive = await make_archive(house)
    await archive.recording("a boat", title="Secret", visibility="unlisted")
    assert "Secret" not in await look(house.stranger).text("/search?q=boat")
    assert "Secret" in await look(house.hosting).text("/search?q=boat")
