"""What strangers write stays text, and the pages run only our own scripts."""

import re
from html.parser import HTMLParser
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Forbidden, TooManyRequests
from core.settings import Settings
from rooms.groups import create_group
from rooms.participation import join_room, set_hand
from tests.rooms.conftest import House
from tests.web.pages.conftest import Look, ended, live, made, page_data
from web.pages.render import clock, how_long, initials, policy
from web.pages.route import PageRoute
from web.pages.tones import tone

ATTACKS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><script>alert(1)</script>",
    "{{ 7 * 7 }}",
    "' autofocus onfocus='alert(1)",
    "javascript:alert(1)",
    "<!--",
    "\u2028</title>",
]


class Tags(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def shape(html: str) -> list[tuple[str, tuple[str, ...]]]:
    """The markup without its words: the same whatever people write."""
    return [(tag, tuple(attributes)) for tag, attributes in Tags(html).found]


@pytest.mark.parametrize("attack", ATTACKS)
async def test_titles_and_names_are_text(house: House, look: Look, attack: str) -> None:
    pages = []
    for words in ("harmless", attack):
        guest = await house.user(words)
        room = await live(house, words, description=words, topics=(words,))
        await join_room(house.session, principal=guest, room_id=room.id)
        await set_hand(house.session, principal=guest, room_id=room.id, raised=True)
        html = await look(guest).text(f"/rooms/{room.id}")
        pages.append(shape(html))
        assert page_data(html)["room"]["title"] == words
        raised = [p for p in page_data(html)["participants"] if p["hand_raised"]]
        assert [p["display_name"] for p in raised] == [words]
    assert pages[0] == pages[1]


@pytest.mark.parametrize("attack", ATTACKS)
async def test_the_list_and_the_replay_keep_text_too(house: House, look: Look, attack: str) -> None:
    for words in ("harmless", attack):
        await made(house, words)
        await live(house, words)
        room = await ended(house, words, description=words)
        replay = await look(house.stranger).text(f"/rooms/{room.id}")
        assert page_data(replay)["room"]["title"] == words
    html = await look(house.stranger).text("/")
    tags = [tag for tag, _ in Tags(html).found]
    assert (tags.count("script"), tags.count("img")) == (1, 0)


@pytest.mark.parametrize("address", ["/", "/sign-in", "/sign-up", "/verify?token=x", "/nowhere"])
async def test_pages_carry_a_strict_policy(house: House, look: Look, address: str) -> None:
    response = await look(house.stranger).get(address)
    policy = dict(
        part.split(" ", 1) for part in response.headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["connect-src"] == "'self' https://edge.example https://ingest.example:8443"
    assert policy["media-src"] == "'self' blob: https://edge.example"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in response.headers["content-security-policy"]
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_pages_may_publish_to_every_worker() -> None:
    origins = "https://*.ingest.example, http://127.0.0.1:*, https://[2001:db8::1]:8443"
    settings = Settings(_env_file=None, ingest_origins=origins)
    assert f"; connect-src 'self' http://127.0.0.1:8001 {origins.replace(',', '')}; " in policy(
        settings
    )


async def test_pages_obey_their_policy(house: House, look: Look) -> None:
    rooms = [await made(house), await live(house), await ended(house)]
    group = await create_group(house.session, principal=house.hosting, name="Choir")
    addresses = ["/", "/rooms/new", "/groups", f"/groups/{group.id}"]
    addresses += ["/verify?token=x", "/password-reset", "/stars", "/wallet", "/earnings"]
    for address in [*addresses, *(f"/rooms/{room.id}" for room in rooms)]:
        html = await look(house.hosting).text(address)
        for tag, attributes in Tags(html).found:
            assert "style" not in attributes, (address, tag)
            assert not [name for name in attributes if name.startswith("on")], (address, tag)
            if tag == "script" and attributes.get("type") != "application/json":
                assert (attributes["src"] or "").startswith("/static/js/")


async def test_every_field_has_a_label(house: House, look: Look) -> None:
    room = await live(house)
    group = await create_group(house.session, principal=house.hosting, name="Choir")
    of_groups = ("/groups", f"/groups/{group.id}", "/wallet")
    for address in ("/rooms/new", "/password-reset", f"/rooms/{room.id}", *of_groups):
        found = Tags(await look(house.hosting).text(address)).found
        labels = {attributes.get("for") for tag, attributes in found if tag == "label"}
        for tag, attributes in found:
            if tag in {"input", "select", "textarea"} and attributes.get("type") not in {
                "hidden",
                "checkbox",
                "radio",
            }:
                assert attributes.get("id") in labels or "aria-label" in attributes, attributes


@pytest.mark.parametrize(
    ("error", "status", "heading"),
    [(Forbidden("Only the host."), 403, "Not for you"), (TooManyRequests(), 429, "Too many")],
)
async def test_refusals_are_pages(
    app: FastAPI, house: House, look: Look, error: Exception, status: int, heading: str
) -> None:
    async def refuse() -> None:
        raise error

    app.router.add_api_route("/refused", refuse, route_class_override=PageRoute)
    response = await look(house.stranger).get("/refused")
    assert response.status_code == status
    assert heading in response.text
    assert response.headers["content-type"].startswith("text/html")


async def test_signing_in_leads_to_local_paths(house: House, look: Look) -> None:
    html = await look(house.stranger).text("/sign-in?next=//evil.example")
    assert "evil.example" not in html
    signed_in = await look(house.hosting).get("/sign-in?next=/rooms/new")
    assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/rooms/new")


async def test_mail_links_show_forms_and_use_nothing_up(house: House, look: Look) -> None:
    html = await look(house.stranger).text('/verify?token=abc"><script>')
    assert 'name="token" value="abc&#34;&gt;&lt;script&gt;"' in html
    assert 'data-api="POST /v1/accounts/password-reset/confirm"' in await look(house.stranger).text(
        "/password-reset?token=abc"
    )


@given(st.text(max_size=40))
def test_any_name_has_initials(name: str) -> None:
    drawn = initials(name)
    assert drawn
    assert re.fullmatch(r"\S+", drawn)


def test_initials_are_of_first_and_last_name() -> None:
    assert initials("ada lovelace") == "AL"
    assert initials("Ada") == "A"
    assert initials("Ada (she) von Byron") == "AB"
    assert initials("🎷") == "?"


def test_clock_length_and_tone() -> None:
    assert clock(3_723_999) == "1:02:03"
    assert clock(None) == "0:00"
    lengths = [how_long(ms) for ms in (0, 57_000, 59_600, 89_000, 3_580_000, 3_600_000, 4_210_000)]
    assert lengths == ["0 s", "57 s", "1 min", "1 min", "1 h", "1 h", "1 h 10 min"]
    assert tone(UUID(int=0x1F)) == "tone-7"
    assert tone(UUID(int=0x1F), {UUID(int=0x1F): 9}) == "tone-1"


async def test_other_ways_to_sign_in_are_offered(house: House, look: Look) -> None:
    html = await look(house.stranger).text("/sign-in?next=/rooms/new")
    assert 'href="/v1/oidc/choir/login?next=/rooms/new">Sign in with Choir &lt;3<' in html


async def test_a_fault_is_a_page_too(app: FastAPI) -> None:
    @app.get("/broken")
    async def fail() -> None:
        raise RuntimeError("ada@example.org")

    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://encore.test") as client:
        page = await client.get("/broken", headers={"accept": "text/html"})
        problem = await client.get("/broken")
    assert (page.status_code, problem.status_code) == (500, 500)
    assert "That did not work" in page.text
    assert "Content-Security-Policy" in page.headers
    assert "ada@" not in page.text
    assert problem.json()["code"] == "internal"
