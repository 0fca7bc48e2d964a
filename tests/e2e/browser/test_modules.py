"""The pages' pure modules, run by the browser that they are written for."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Route

from core.errors import Problem
from tests.e2e.browser.conftest import browser_path
from transcripts.hub import ModelNotFetched
from transcripts.installed_models import ModelMissing
from transcripts.transcriber import LanguageUnknown

pytestmark = pytest.mark.slow

ORIGIN = "http://encore.test"
STATIC = Path(__file__).parents[3] / "web" / "static"


@pytest.fixture(scope="module")
async def page(chromium: Browser) -> AsyncIterator[Page]:
    """An empty page beside our static files, one for all tests; nothing leaves the browser."""
    context = await chromium.new_context()
    page = await context.new_page()

    async def answer(route: Route) -> None:
        path = route.request.url.removeprefix(f"{ORIGIN}/static/")
        if path == route.request.url:
            await route.fulfill(body="<!doctype html><title>-</title>", content_type="text/html")
        else:
            await route.fulfill(path=STATIC / path, content_type="text/javascript")

    await context.route("**/*", answer)
    await page.goto(ORIGIN)
    yield page
    await context.close()


async def run(page: Page, module: str, body: str, argument: object = None) -> Any:
    """`body` with the module's exports as `m` and `argument` as `a`."""
    return await page.evaluate(
        f"async a => {{ const m = await import('/static/js/{module}'); {body} }}", argument
    )


FRAGMENTS = [
    {"start": 0, "duration": 2, "programDateTime": 1_000_000},
    {"start": 2, "duration": 2, "programDateTime": 1_002_000},
    {"start": 4, "duration": 2, "programDateTime": 1_014_000},  # ten seconds were cut before it
]


@pytest.mark.parametrize(
    ("room_ms", "media_s"),
    [(0, 0), (1500, 1.5), (3999, 3.999), (7000, 4), (14_000, 4), (15_000, 5), (99_000, 6)],
)
async def test_room_time_becomes_media_time(page: Page, room_ms: int, media_s: float) -> None:
    body = "return m.mediaTimeAt(a.fragments, 1_000_000, a.ms)"
    found = await run(page, "room-clock.js", body, {"fragments": FRAGMENTS, "ms": room_ms})
    assert found == pytest.approx(media_s)


@pytest.mark.parametrize(("media_s", "room_ms"), [(0, 0), (3.5, 3500), (4, 14_000), (5, 15_000)])
async def test_media_time_becomes_room_time(page: Page, media_s: float, room_ms: int) -> None:
    body = "return m.roomMsAt(a.fragments, 1_000_000, a.s)"
    found = await run(page, "room-clock.js", body, {"fragments": FRAGMENTS, "s": media_s})
    assert found == pytest.approx(room_ms)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("95", 95),
        ("1m35s", 95),
        ("1:35", 95),
        ("1:00:01", 3601),
        ("1h2m3s", 3723),
        ("", None),
        ("soon", None),
        ("-5", None),
    ],
)
async def test_links_name_a_second(page: Page, text: str, seconds: int | None) -> None:
    assert await run(page, "room-clock.js", "return m.secondsOf(a)", text) == seconds


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("#t=1500", (1500, False)),
        ("?t=0:56&q=sea", (56_000, False)),
        ("?t=5#t=1500", (1500, False)),
        ("#t=57000", (0, True)),
        ("?t=1h", (0, True)),
        ("#t=-5", (None, False)),
        ("", (None, False)),
    ],
)
async def test_a_link_past_the_end_starts_at_the_beginning(
    page: Page, address: str, place: tuple[int | None, bool]
) -> None:
    body = f"return m.linkedPlace(new URL(a, '{ORIGIN}'), 57_000)"
    found = await run(page, "linked.js", body, address)
    assert (found["at"], found["past"]) == place


async def test_why_a_transcript_is_not_made_and_what_to_do_is_said_in_words(page: Page) -> None:
    body = "return a.map((code) => m.givenUp({ error_code: code }, 'No transcript'))"
    codes = [ModelMissing.code, LanguageUnknown.code, Problem.code]
    missing, language, unknown = await run(page, "transcript-trouble.js", body, codes)
    assert missing == (
        "No transcript: the model is not on the machine that transcribes. Ask whoever runs this "
        "server to put it there, then press “Transcribe again”. (model_missing)"
    )
    assert "Choose another one for that speaker, then press" in language
    assert "went wrong on the server. Press “Transcribe again”; if" in unknown
    body = "return m.triedAgain({ error_code: a })"
    assert "downloaded" in await run(page, "transcript-trouble.js", body, ModelNotFetched.code)


def event(kind: str, room_ms: int, person: str = "", **data: object) -> dict[str, object]:
    about = {"participant_id": person, "user_id": f"u-{person}"} if person else {}
    return {"kind": kind, "room_ms": room_ms, "data": {**about, **data}}


SCRIPT = [
    event("room.created", 0),
    event("room.went_live", 0),
    event("recording.started", 0),
    event("participant.joined", 0, "ada", role="host", display_name="Ada"),
    event("stage.joined", 0, "ada", role="host"),
    event("participant.joined", 1000, "ben", role="listener", display_name="Ben"),
    event("hand.raised", 2000, "ben", role="listener"),
    event("invitation.sent", 3000, "ben", role="speaker"),
    event("invitation.accepted", 4000, "ben", role="speaker"),
    event("hand.lowered", 4000, "ben", role="speaker"),
    event("stage.joined", 4000, "ben", role="speaker"),
    event("speaker.muted", 5000, "ben", role="speaker"),
    event("recording.paused", 6000),
    event("speaker.unmuted", 7000, "ben", role="speaker"),
    event("recording.resumed", 8000),
    event("stage.left", 9000, "ben", role="listener"),
    event("room.ended", 10_000),
]


@pytest.mark.parametrize(
    ("room_ms", "names", "muted", "hands"),
    [
        (0, ["Ada"], [], []),
        (2500, ["Ada"], [], ["Ben"]),
        (3500, ["Ada"], [], ["Ben"]),
        (4500, ["Ada", "Ben"], [], []),
        (5500, ["Ada", "Ben"], ["Ben"], []),
        (9500, ["Ada"], [], []),
    ],
)
async def test_the_stage_at_a_second(
    page: Page, room_ms: int, names: list[str], muted: list[str], hands: list[str]
) -> None:
    found = await run(
        page,
        "stage.js",
        """const stage = m.stageAt(a.events, a.ms);
        const names = (people) => people.map((p) => p.display_name);
        const muted = names(stage.onStage.filter((p) => p.muted));
        return [names(stage.onStage), muted, names(stage.hands)];""",
        {"events": SCRIPT, "ms": room_ms},
    )
    assert found == [names, muted, hands]


async def test_the_timelines_lanes_and_cuts(page: Page) -> None:
    lanes, cuts = await run(
        page,
        "stage.js",
        "return [m.lanesOf(a, 10_000), m.cutsOf(a, 10_000)]",
        SCRIPT,
    )
    assert [(lane["name"], lane["spans"]) for lane in lanes] == [
        ("Ada", [{"from": 0, "to": 10_000}]),
        ("Ben", [{"from": 4000, "to": 9000}]),
    ]
    assert lanes[1]["muted"] == [{"from": 5000, "to": 7000}]
    assert lanes[1]["hands"] == [2000]
    assert cuts == [{"from": 6000, "to": 8000}]


@pytest.mark.parametrize(
    ("duration_s", "width", "ticks_s"),
    [
        (78, 640, [10, 20, 30, 40, 50, 60, 70]),
        (78, 300, [30, 60]),
        (4, 640, []),
        (3 * 3600, 640, [1800 * n for n in range(1, 6)]),
        (30 * 3600, 300, [8 * 3600, 16 * 3600, 24 * 3600]),
    ],
)
async def test_the_axis_names_round_times(
    page: Page, duration_s: int, width: int, ticks_s: list[int]
) -> None:
    ticks = await run(page, "timeline.js", "return m.ticksOf(...a)", [duration_s * 1000, width])
    assert [ms / 1000 for ms in ticks] == ticks_s


async def test_a_lane_alone_makes_the_others_step_back(page: Page) -> None:
    body = """document.body.innerHTML = '<div></div>';
      const timeline = new m.Timeline(document.querySelector('div'), 10_000);
      const lane = (id) => ({ id, name: id, spans: [{ from: 0, to: 9000 }], muted: [], hands: [] });
      timeline.show([lane('0a'), lane('0b')], []);
      const away = () => [...document.querySelectorAll('g')].map((g) => g.matches('.away'));
      timeline.highlight('0a');
      const one = away();
      timeline.highlight(null);
      return [one, away()];"""
    assert await run(page, "timeline.js", body) == [[False, True], [False, False]]


async def test_few_tips_stay_on_top_and_the_smallest_give_way(page: Page) -> None:
    body = """document.body.innerHTML = '<ol hidden></ol>';
      const list = document.querySelector('ol');
      const pins = new m.Pins(list);
      const tier = { name: 'glow', color: '#1f6feb', seconds: 60 };
      const said = { tier, name: 'Ada', message: '<b>', room_ms: 0 };
      const tip = (stars) => ({ ...said, id: String(stars), stars });
      for (const stars of [10, 500, 20, 1000, 30, 30, 5]) pins.show(tip(stars));
      pins.show({ ...tip(2000), tier: { ...tier, seconds: 0 } });
      pins.drop('500');
      const shown = [...list.children].map((pin) => pin.dataset.tip);
      return [list.hidden, shown, list.querySelector('b')];"""
    assert await run(page, "tip-view.js", body) == [False, ["1000", "30", "20"], None]


async def test_a_front_row_without_anybody_says_so(page: Page) -> None:
    body = "return [[], a.items].map((items) => m.sumText({ ...a, items }, true))"
    told = {"items": [{"name": "Ada"}], "anonymous_stars": 10, "total_stars": 30}
    sums = "10 Stars without a name. 30 Stars in all."
    assert await run(page, "supporters.js", body, told) == [
        f"None of those who gave has joined the room. {sums}", sums,
    ]  # fmt: skip


async def test_tips_that_would_lie_over_each_other_are_one_mark(page: Page) -> None:
    body = """document.body.innerHTML = '<div style="width: 600px"></div>';
      const timeline = new m.Timeline(document.querySelector('div'), 60_000);
      timeline.showTips([1000, 1010, 30_000].map((room_ms) => ({ room_ms, stars: 50 })));
      return [...document.querySelectorAll('.tip-mark')].map((mark) => mark.textContent);"""
    marks = await run(page, "timeline.js", body)
    assert marks == ["0:01: 2 tips, 100 Stars", "0:30: 1 tip, 50 Stars"]


async def test_events_may_come_twice(page: Page) -> None:
    once, twice = await run(
        page,
        "stage.js",
        """const people = (events) => [...m.stageAt(events, 4500).people.values()];
        return [people(a), people(a.flatMap((event) => [event, event]))]""",
        SCRIPT,
    )
    assert once == twice


async def test_reconnecting_waits_longer_each_time_but_never_long(page: Page) -> None:
    body = "return [0, 1, 2, 5, 50].map((n) => [m.backoffMs(n, () => 0), m.backoffMs(n, () => 1)])"
    delays = await run(page, "whip.js", body)
    assert delays[0] == [150, 300]
    assert delays[1] == [300, 600]
    assert delays[-1] == delays[-2] == [4000, 8000]


async def test_a_refusal_for_good_ends_the_attempts(page: Page) -> None:
    states = await run(
        page,
        "whip.js",
        """const { Problem } = await import('/static/js/api.js');
        const track = new MediaStreamAudioDestinationNode(new AudioContext()).stream.getTracks()[0];
        const states = [];
        const refusals = [new Problem(503, {}), new Problem(403, { detail: 'Not on stage.' })];
        const publisher = new m.Publisher(track, async () => { throw refusals.shift(); });
        await new Promise((resolve) => {
          publisher.addEventListener('state', ({ detail }) => {
            states.push(detail.state);
            if (detail.state === 'refused') resolve();
          });
          publisher.start();
        });
        return states;""",
    )
    assert states == ["connecting", "reconnecting", "refused"]


async def test_a_move_ends_a_long_wait_but_not_a_silence_that_was_chosen(page: Page) -> None:
    found = await run(
        page,
        "whip.js",
        """const { Problem } = await import('/static/js/api.js');
        const track = new MediaStreamAudioDestinationNode(new AudioContext()).stream.getTracks()[0];
        const publisher = new m.Publisher(track, async () => { throw new Problem(503, {}); });
        publisher.attempt = 50;
        await publisher.start();
        publisher.reconnect();
        const moved = [publisher.state, publisher.attempt];
        publisher.stop();
        publisher.reconnect();
        return [...moved, publisher.state];""",
    )
    assert found == ["reconnecting", 1, "stopped"]


async def test_forms_send_what_was_chosen(page: Page) -> None:
    body = """document.body.innerHTML = `<form>
      <input name="title" value="Tones"><input name="empty" value="">
      <input name="topics" data-as="list" value="a, b,,">
      <input type="radio" name="visibility" value="public" checked>
      <input type="radio" name="visibility" value="group">
      <select name="group_id" data-needs="visibility=group"><option value="g">g</option></select>
      <input type="checkbox" name="record_from_start"><button name="">go</button></form>`;
      const form = document.querySelector('form');
      const before = m.fieldsOf(form);
      form.elements.visibility.value = 'group';
      return [before, m.fieldsOf(form).group_id];"""
    fields, group = await run(page, "form.js", body)
    assert fields == {
        "title": "Tones",
        "topics": ["a", "b"],
        "visibility": "public",
        "record_from_start": False,
    }
    assert group == "g"


def test_where_no_browser_is_the_tests_fail_and_say_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("tests.e2e.browser.conftest.NAMES", ("chromium", "google-chrome"))
    with pytest.raises(pytest.fail.Exception, match="apt-get install chromium"):
        browser_path()


async def test_names_are_drawn_as_text(page: Page) -> None:
    body = """document.body.innerHTML = '<ul></ul><template id="person"><li><span class="face">'
      + '</span><span class="name"></span><span class="marks"></span><span class="actions">'
      + '</span></li></template>';
      const list = document.querySelector('ul');
      const person = { id: '0f', role: 'host', muted: false, consented: true, display_name: a };
      m.drawStage(list, [person]);
      return [list.querySelector('.name').textContent, list.querySelectorAll('img').length];"""
    attack = "<img src=x onerror=alert(1)>"
    assert await run(page, "stage-view.js", body, attack) == [attack, 0]


@pytest.mark.parametrize(
    ("room_ms", "shown"),
    [(999, []), (1000, ["a"]), (2500, ["a", "b"]), (4100, ["b", "c"]), (9000, [])],
)
async def test_captions_are_shown_with_what_is_heard(
    page: Page, room_ms: int, shown: list[str]
) -> None:
    cues = [
        {"id": "a", "start_ms": 1000, "until_ms": 4500},
        {"id": "b", "start_ms": 2500, "until_ms": 6000},
        {"id": "c", "start_ms": 4000, "until_ms": 7000},
    ]
    body = "return m.shownAt(a.cues, a.ms).map((cue) => cue.id)"
    assert await run(page, "captions.js", body, {"cues": cues, "ms": room_ms}) == shown


@pytest.mark.parametrize(
    ("text", "flows"),
    [("what the sea keeps\nit keeps", "what the sea keeps it keeps"), ("海が\n守る", "海が守る")],
)
async def test_captions_flow(page: Page, text: str, flows: str) -> None:
    assert await run(page, "captions.js", "return m.flowing(a)", text) == flows


async def test_a_tip_is_offered_only_while_somebody_would_be_paid(page: Page) -> None:
    """In a live room whose host has left Encore; the one who looks is `me`."""
    moves = [
        {"kind": "stage.joined", "room_ms": 10, "data": {"user_id": "me", "share_bps": 5000}},
        {"kind": "stage.joined", "room_ms": 20, "data": {"user_id": "a", "share_bps": 0}},
        {"kind": "stage.joined", "room_ms": 30, "data": {"user_id": "b", "share_bps": 5000}},
        {"kind": "stage.left", "room_ms": 40, "data": {"user_id": "b"}},
        {"kind": "speaker.muted", "room_ms": 50, "data": {"user_id": "a"}},
    ]
    body = """const unpaid = new m.Unpaid({ unpaid: a.unpaid, earners: a.earners });
      const now = a.moves.map((move) => { unpaid.apply(move, 'me'); return unpaid.at(Infinity); });
      return [now, [0, 29, 30, 39, 40].map((ms) => unpaid.at(ms))];"""
    left = {"unpaid": [[0, None]], "earners": [], "moves": moves}
    now, heard = await run(page, "unpaid.js", body, left)
    assert (now, heard) == ([True, True, False, True, True], [True, True, False, False, True])
    there = {"unpaid": [], "earners": None, "moves": moves}
    assert await run(page, "unpaid.js", body, there) == [[False] * 5, [False] * 5]


async def test_found_words_are_known_whatever_stands_around_them(page: Page) -> None:
    words = [[0, 1, word, 1] for word in ("“Boats,”", "CITTÀ", "boat", "—")]
    body = "return m.wordsAmong({ words: a }, 'boats citta —')"
    assert await run(page, "transcript-list.js", body, words) == [0, 1]
