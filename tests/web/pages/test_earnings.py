"""What creators see of their money, and nobody else."""

import re
from typing import Any

import pytest

from core.auth.principal import Principal
from payouts.earned import Minute
from payouts.gateway_models import ConnectedAccount
from payouts.postings import Pin
from rooms.models import Room
from tests.payouts.tills import Till, on_our_clock
from tests.rooms.conftest import House
from tests.web.pages.conftest import Look, ended
from web.pages.earnings import CHART_HEIGHT, CHART_WIDTH, bars, charted
from web.pages.requirements import wanted


async def tipped(house: House) -> tuple[Room, Principal]:
    """A room in which the host earned 3.00 by three tips; who gave them."""
    giver = await house.user()
    assert giver.user_id is not None
    await on_our_clock(house.session)
    room = await ended(house, "Night <b>radio</b>")
    till = Till(house.session, house.platform.id, giver.user_id, [house.host.id])
    await till.buy()
    for room_ms in (1_000, 59_000, 130_000):
        await till.tip(100, pin=Pin(room.id, room_ms))
    return room, giver


async def test_earnings_by_state_room_and_month(house: House, look: Look) -> None:
    room, giver = await tipped(house)
    html = await look(house.hosting).text("/earnings")
    assert "<dt>Pending</dt><dd>$3.00</dd>" in html
    assert "<dt>Matured</dt><dd>$0.00</dd>" in html
    assert "When what is pending matures" in html
    assert f'<a href="/earnings/rooms/{room.id}">Night &lt;b&gt;radio&lt;/b&gt;</a>' in html
    assert "3 tips" in html
    assert "Not set up to be paid" in html
    assert "<strong>$3.00 would be lost to you:</strong>" in html
    others = await look(giver).text("/earnings")
    assert "<strong>200 unused Stars would be lost.</strong>" in others
    assert str(room.id) not in others
    assert "<dt>Pending</dt><dd>$0.00</dd>" in others
    assert (await look(house.stranger).get("/earnings")).status_code == 401


async def test_a_rooms_minutes_are_drawn_and_written(house: House, look: Look) -> None:
    room, giver = await tipped(house)
    address = f"/earnings/rooms/{room.id}"
    html = await look(house.hosting).text(address)
    assert html.count("<rect ") == 2
    assert "<title>2:00: $1.00</title>" in html
    assert "<td>2</td><td>$2.00</td>" in html
    assert (await look(giver).get(address)).status_code == 404
    assert (await look(house.stranger).get(address)).status_code == 401


async def test_a_statement_names_its_rooms(house: House, look: Look) -> None:
    room, giver = await tipped(house)
    mine = look(house.hosting)
    month = (await mine.text("/earnings")).split("/earnings/statements/")[1][:7]
    html = await mine.text(f"/earnings/statements/{month}")
    assert re.search(r"<h1>Statement of [A-Z][a-z]+ 20\d\d</h1>", html)
    assert '<th scope="row">Tips</th><td>3</td><td>3.00</td><td>0.00</td>' in html
    assert '<th scope="row">Closing</th><td></td><td>3.00</td>' in html
    assert f'<a href="/earnings/rooms/{room.id}">Night &lt;b&gt;radio&lt;/b&gt;</a>' in html
    assert str(room.id) not in await look(giver).text(f"/earnings/statements/{month}")
    assert (await mine.get("/earnings/statements/2026-13")).status_code == 422


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"account": "acct_1", "due": ["external_account", "individual.dob.day"]}, "Half-way"),
        ({"account": "acct_1", "details_submitted": True, "due": ["company.phone"]}, "phone"),
        ({"account": "acct_1", "details_submitted": True}, "Stripe looks at what you told it"),
        (
            {
                "account": "acct_1",
                "details_submitted": True,
                "transfers_active": True,
                "payouts_enabled": True,
            },
            "You are set up to be paid",
        ),
    ],
)
async def test_onboarding_says_what_happens_next(
    house: House, look: Look, values: dict[str, Any], words: str
) -> None:
    house.session.add(
        ConnectedAccount(
            platform_id=house.platform.id, user_id=house.host.id, livemode=False, **values
        )
    )
    await house.session.flush()
    html = await look(house.hosting).text("/earnings?again=1")
    assert words in html
    assert "That link had expired" in html


def test_what_stripe_wants_in_words() -> None:
    due = ["individual.dob.day", "individual.dob.year", "tos_acceptance.ip", "rockets.color_code"]
    assert wanted(due) == [
        "your date of birth",
        "your consent to Stripe’s terms",
        "rockets, color code",
    ]


def test_bars_lie_within_the_chart() -> None:
    drawn = bars([Minute(0, 1, 1), Minute(59, 1000, 3)], 3_600_000)
    assert [bar.minute.minute for bar in drawn] == [0, 59]
    for bar in drawn:
        assert 0 <= bar.x <= bar.x + bar.width <= CHART_WIDTH
        assert 0 <= bar.y <= bar.y + bar.height <= CHART_HEIGHT
    assert drawn[1].height == CHART_HEIGHT
    assert bars([], 1000) == []
    assert [charted([Minute(each, 1, 1)], 78_000) for each in (0, 1, 2)] == [2, 2, 3]
