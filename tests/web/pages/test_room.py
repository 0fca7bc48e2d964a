import re
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from rooms.groups import create_group
from rooms.lifecycle import end_room
from rooms.models import RecordingState, Role, Visibility
from rooms.moderation import change_role, invite, remove_participant
from rooms.participation import join_room, leave_room, set_hand
from rooms.recording import set_recording
from tests.rooms.conftest import House
from tests.web.pages.conftest import Look, ended, live, made, page_data


async def test_a_stranger_may_listen_and_is_asked_to_sign_in(house: House, look: Look) -> None:
    room = await live(house)
    html = await look(house.stranger).text(f"/rooms/{room.id}")
    assert 'id="listen"' in html
    assert f"/sign-in?next=/rooms/{room.id}" in html
    assert 'data-do="join"' not in html
    assert 'id="moderation"' not in html


async def test_a_listener_gets_the_room_but_not_its_controls(house: House, look: Look) -> None:
    room = await live(house)
    html = await look(await house.user()).text(f"/rooms/{room.id}")
    assert 'data-do="join"' in html
    assert 'id="moderation" data-signed-in hidden' in html
    assert page_data(html)["can"]["moderate"] is False


async def test_the_host_gets_the_controls(house: House, look: Look) -> None:
    room = await live(house)
    html = await look(house.hosting).text(f"/rooms/{room.id}")
    assert 'id="moderation" data-signed-in>' in html
    assert page_data(html)["can"] == {
        "speak": True,
        "moderate": True,
        "manage": True,
        "record": True,
        "end": True,
        "edit": True,
        "edit_own": True,
        "transcribe": True,
        "tip": True,
        "thank": True,
        "hide_tip": True,
    }


async def test_only_the_host_edits_and_calls_off(house: House, look: Look) -> None:
    rooms = {"made": await made(house), "live": await live(house), "ended": await ended(house)}
    guest = await house.user()
    for state, room in rooms.items():
        html = await look(house.hosting).text(f"/rooms/{room.id}")
        assert f'data-api="PATCH /v1/rooms/{room.id}"' in html
        assert ('id="call-off"' in html) == (state == "made")
        assert ('name="scheduled_at"' in html) == (state == "made")
        for other in (guest, house.stranger):
            html = await look(other).text(f"/rooms/{room.id}")
            assert 'id="edit' not in html
            assert 'id="call-off"' not in html


async def test_a_recording_stopped_for_good_is_told_from_one_that_never_began(
    house: House, look: Look
) -> None:
    never = await live(house, record_from_start=False)
    stopped = await live(house)
    await set_recording(
        house.session, principal=house.hosting, room_id=stopped.id, state=RecordingState.OFF
    )
    for room, expected in ((never, False), (stopped, True)):
        html = await look(house.hosting).text(f"/rooms/{room.id}")
        assert page_data(html)["recording_stopped"] is expected


async def test_a_cohost_moderates_but_does_not_end(house: House, look: Look) -> None:
    room = await live(house)
    ben = await house.user("Ben")
    _, own = await join_room(house.session, principal=ben, room_id=room.id)
    await change_role(
        house.session,
        principal=house.hosting,
        room_id=room.id,
        participant_id=own.id,
        role=Role.COHOST,
    )
    can = page_data(await look(ben).text(f"/rooms/{room.id}"))["can"]
    assert (can["moderate"], can["end"]) == (True, False)


async def test_the_page_begins_with_stage_hands_and_the_place_in_the_stream(
    house: House, look: Look
) -> None:
    room = await live(house)
    ben, chiara = await house.user("Ben"), await house.user("Chiara")
    await join_room(house.session, principal=ben, room_id=room.id)
    await join_room(house.session, principal=chiara, room_id=room.id)
    await set_hand(house.session, principal=ben, room_id=room.id, raised=True)
    html = await look(house.stranger).text(f"/rooms/{room.id}")
    data = page_data(html)
    shown = {p["display_name"]: p for p in data["participants"]}
    assert shown.keys() == {"Host", "Ben"}, "listeners without a hand are only counted"
    assert shown["Ben"]["hand_raised"] is True
    assert data["seq"] == room.event_seq
    assert "3 here" in html
    kinds = [event["kind"] for event in data["events"]]
    assert kinds[-1] == "hand.raised"
    assert "participant.joined" not in kinds


async def test_people_of_one_room_have_different_colors_the_same_on_every_page(
    house: House, look: Look
) -> None:
    room = await live(house)
    speakers = [await house.speaker(room) for _ in range(7)]
    leaver, left = speakers[2]
    await leave_room(house.session, principal=leaver, room_id=room.id)
    await join_room(house.session, principal=leaver, room_id=room.id)
    browser = look(house.stranger)
    html, listed = await browser.text(f"/rooms/{room.id}"), await browser.text("/")
    shown = re.findall(r'data-id="(.*?)">\s*<span class="face tone-(\d)"', html)
    told = page_data(html)["places"]
    places = [participant_id for participant_id, _ in told]
    assert len({color for _, color in shown}) == len(shown) == 7
    assert all(places.index(who) == int(color) for who, color in shown)
    assert places.index(str(left.id)) == 3, "who has left, and would come back, keeps it"
    assert {f"tone-{n}" for n in (0, 1, 2, 4, 5, 6)} == set(re.findall(r"face (tone-\d)", listed))
    assert told[3] == [str(left.id), str(left.user_id)], "lists of tips know the user alone"
    await end_room(house.session, principal=house.hosting, room_id=room.id)
    assert page_data(await browser.text(f"/rooms/{room.id}"))["places"] == told


async def test_before_it_is_live_the_room_says_so(house: House, look: Look) -> None:
    room = await made(house)
    html = await look(house.stranger).text(f"/rooms/{room.id}")
    assert "Not live yet" in html
    assert 'id="listen"' not in html


async def test_an_invited_guest_finds_the_invitation(house: House, look: Look) -> None:
    room = await made(house)
    ben = await house.user("Ben")
    assert ben.user_id is not None
    await invite(
        house.session,
        principal=house.hosting,
        room_id=room.id,
        user_id=ben.user_id,
        role=Role.SPEAKER,
    )
    data = page_data(await look(ben).text(f"/rooms/{room.id}"))
    assert data["me"]["participant"]["invited_role"] == "speaker"


async def test_whoever_was_removed_reads_that(house: House, look: Look) -> None:
    room = await live(house)
    ben = await house.user("Ben")
    _, own = await join_room(house.session, principal=ben, room_id=room.id)
    await remove_participant(
        house.session, principal=house.hosting, room_id=room.id, participant_id=own.id
    )
    assert page_data(await look(ben).text(f"/rooms/{room.id}"))["me"]["removed"] is True


async def test_after_the_end_the_same_address_is_the_replay(house: House, look: Look) -> None:
    room = await ended(house)
    html = await look(house.stranger).text(f"/rooms/{room.id}")
    assert 'id="timeline"' in html
    assert 'id="listen"' not in html
    assert page_data(html)["room"]["recording_id"] == str(room.recording_id)


async def test_a_group_room_is_invisible_to_others(house: House, look: Look) -> None:
    group = await create_group(house.session, principal=house.hosting, name="Choir")
    room = await live(house, "Rehearsal", visibility=Visibility.GROUP, group_id=group.id)
    for outsider in (house.stranger, await house.user()):
        hidden = await look(outsider).get(f"/rooms/{room.id}")
        missing = await look(outsider).get(f"/rooms/{uuid4()}")
        assert hidden.status_code == missing.status_code == 404
        shown = [page.text.replace(page.url.path, "/rooms/ID") for page in (hidden, missing)]
        assert shown[0] == shown[1], "nothing tells that the room exists"
    assert "Rehearsal" in await look(house.hosting).text(f"/rooms/{room.id}")


async def test_a_stranger_finds_the_way_in_where_members_only_are_let(
    house: House, look: Look
) -> None:
    group = await create_group(house.session, principal=house.hosting, name="Choir")
    room = await live(house, "Rehearsal", visibility=Visibility.GROUP, group_id=group.id)
    refused = await look(house.stranger).get(f"/rooms/{room.id}?t=95")
    assert f'href="/sign-in?next=/rooms/{room.id}%3Ft%3D95"' in refused.text
    assert 'href="/sign-up"' in refused.text, "the header is not empty"
    signed_in = await look(await house.user("Ben")).get(f"/rooms/{room.id}")
    assert "/sign-in" not in signed_in.text
    assert "data-sign-out" in signed_in.text


@pytest.mark.parametrize("cookie", [None, "encore_session=es_something"])
async def test_where_no_page_is_only_the_cookie_tells_who_looks(
    app: FastAPI, cookie: str | None
) -> None:
    headers = {"accept": "text/html"} | ({"cookie": cookie} if cookie else {})
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://encore.test") as client:
        html = (await client.get("/nowhere", headers=headers)).text
    assert ("/sign-in?next=/nowhere" in html) == (cookie is None)
    assert ("/sign-up" in html) == (cookie is None)


@pytest.mark.parametrize("address", ["/rooms/nonsense", "/rooms/1", "/nowhere"])
async def test_wrong_addresses_get_a_page(house: House, look: Look, address: str) -> None:
    response = await look(house.stranger).get(address)
    assert response.status_code == 404
    assert "Nothing here" in response.text
