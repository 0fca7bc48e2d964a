from uuid import uuid4

from core.auth.principal import Principal
from rooms.groups import add_member, create_group
from rooms.models import Group
from tests.rooms.conftest import House
from tests.web.pages.conftest import Look


async def choir(house: House, *members: Principal) -> Group:
    group = await create_group(house.session, principal=house.hosting, name="Choir")
    for member in members:
        assert member.user_id is not None
        await add_member(
            house.session, principal=house.hosting, group_id=group.id, user_id=member.user_id
        )
    return group


async def test_only_people_have_groups(house: House, look: Look) -> None:
    group = await choir(house)
    for address in ("/groups", f"/groups/{group.id}"):
        refused = await look(house.stranger).get(address)
        assert refused.status_code == 401
        assert "Choir" not in refused.text


async def test_ones_own_groups_are_listed_with_ones_own_id(house: House, look: Look) -> None:
    ben = await house.user("Ben")
    html = await look(ben).text("/groups")
    assert "You belong to no group yet" in html
    assert str(ben.user_id) in html
    group = await choir(house, ben)
    assert f'href="/groups/{group.id}"' in await look(ben).text("/groups")
    assert f'href="/groups/{group.id}"' in await look(house.hosting).text("/groups")
    assert 'href="/groups/' not in await look(await house.user()).text("/groups")


async def test_members_see_members_and_only_the_owner_changes_them(
    house: House, look: Look
) -> None:
    ben, chiara = await house.user("Ben <3"), await house.user("Chiara")
    group = await choir(house, ben, chiara)
    members = f"/v1/groups/{group.id}/members"
    owners = await look(house.hosting).text(f"/groups/{group.id}")
    bens = await look(ben).text(f"/groups/{group.id}")
    for html in (owners, bens):
        assert "Ben &lt;3" in html
        assert "Chiara" in html
    assert f"PUT {members}/{{user_id}}" in owners
    assert f"DELETE {members}/{ben.user_id}" in owners
    assert f"DELETE {members}/{chiara.user_id}" in owners
    assert f"DELETE {members}/{house.host.id}" not in owners, "the owner stays"
    assert "PUT" not in bens
    assert f"DELETE {members}/{ben.user_id}" in bens, "everybody may leave"
    assert f"DELETE {members}/{chiara.user_id}" not in bens


async def test_a_group_of_others_does_not_exist(house: House, look: Look) -> None:
    group = await choir(house)
    hidden = await look(await house.user()).get(f"/groups/{group.id}")
    missing = await look(await house.user()).get(f"/groups/{uuid4()}")
    assert hidden.status_code == missing.status_code == 404
    assert hidden.text == missing.text


async def test_the_form_of_a_room_leads_to_groups(house: House, look: Look) -> None:
    assert 'href="/groups">Make a group' in await look(house.hosting).text("/rooms/new")
    await choir(house)
    assert 'href="/groups">Your groups' in await look(house.hosting).text("/rooms/new")
