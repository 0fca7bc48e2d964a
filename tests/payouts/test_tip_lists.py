"""What is read of tips: at their sentences, whatever transcript there is; supporters; thanks."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import User
from core.auth.principal import Principal
from core.errors import Forbidden
from core.ids import uuid7
from ingest.models import Rendition, Segment
from payouts import supporters, thanks, tip_lists
from payouts.supporter_cache import MAX_AGE_SECONDS, SupporterCache
from payouts.supporters import Supporter
from payouts.thanks import TipUnknown
from payouts.tip_lists import LONGEST_PAUSE_MS, sentence_at
from payouts.tip_models import RoomTip
from payouts.tip_schemas import TipOut
from replay.recorded import MIX
from replay.subtitles import CueKind, ShownCue
from rooms.models import Participant, RoomEvent, Visibility
from rooms.participation import join_room, leave_room, set_consent
from tests.factories import as_user
from tests.payouts.tills import on_our_clock
from tests.payouts.tipping import Hall, make_hall
from tests.transcripts.heard import LIVE_AT, Heard, make_heard, spoken


@pytest.fixture
async def hall(session: AsyncSession) -> Hall:
    await on_our_clock(session)
    return await make_hall(session)


@dataclass
class Replay:
    """An ended room with a transcript, and a fan of it."""

    hall: Hall
    heard: Heard
    ada: Participant
    fan: Principal

    async def tip(self, seconds: float) -> RoomTip:
        return await self.hall.tip(self.fan, 5, heard_at=LIVE_AT + timedelta(seconds=seconds))

    async def sentences(self) -> list[str | None]:
        found = await tip_lists.tips_of_room(
            self.hall.session, self.hall.room, after=None, limit=100
        )
        return [" ".join(s.text.split()) if (s := each.sentence) else None for each in found]


@pytest.fixture
async def replay(hall: Hall) -> Replay:
    heard = await make_heard(hall.house)
    ended = Hall(hall.house, heard.room)
    ada = await heard.speaker("Ada")
    said = [*spoken("What the sea keeps."), *spoken("It keeps well.", 60_000)]
    await heard.publish(await heard.run({ada: said}))
    return Replay(ended, heard, ada, await ended.fan())


async def test_a_pin_survives_another_transcript(replay: Replay) -> None:
    for seconds in (1.0, 61.0, 30.0):
        await replay.tip(seconds)
    assert await replay.sentences() == ["What the sea keeps.", None, "It keeps well."]
    better = [*spoken("What the C keeps,"), *spoken("he keeps well", 60_100)]
    await replay.heard.publish(await replay.heard.run({replay.ada: better}))
    assert await replay.sentences() == ["What the C keeps,", None, "he keeps well"]
    await set_consent(
        replay.hall.session,
        principal=as_user(replay.heard.people["Ada"][0]),
        room_id=replay.hall.room.id,
        consent=False,
    )
    assert await replay.sentences() == [None, None, None]


async def test_pages_go_on_in_the_order_of_the_clock(replay: Replay) -> None:
    tips = [await replay.tip(seconds) for seconds in (9, 3, 3, 7)]
    seen: list[RoomTip] = []
    while True:
        after = (seen[-1].room_ms, seen[-1].id) if seen else None
        page = await tip_lists.tips_of_room(
            replay.hall.session, replay.hall.room, after=after, limit=2
        )
        if not page:
            break
        seen += [each.tip for each in page]
    assert seen == [tips[1], tips[2], tips[3], tips[0]]
    mine = await tip_lists.tips_of_payer(
        replay.hall.session, tips[0].payer_id, before=None, limit=3
    )
    assert [each.tip for each in mine] == tips[:0:-1]
    assert await tip_lists.total_stars(replay.hall.session, replay.hall.room) == 20


async def test_a_second_of_the_media_is_one_of_the_room(replay: Replay) -> None:
    """Ten seconds, then a pause of twenty that the media has no time for."""
    session, room = replay.hall.session, replay.hall.room
    mix = Rendition(
        recording_id=room.recording_id, name=MIX, codec="mp4a.40.2", init_key="x", init_bytes=1
    )
    session.add(mix)
    await session.flush()
    for number, room_ms in enumerate((0, 30_000)):
        session.add(
            Segment(
                rendition_id=mix.id,
                sequence=number,
                epoch=1,
                object_key="x",
                bytes=1,
                sha256="",
                media_start=number * 480_000,
                samples=480_000,
                room_start_ms=room_ms,
            )
        )
    await session.flush()
    tips = [await replay.hall.tip(replay.fan, 1, media_ms=ms) for ms in (0, 9_000, 10_500, 99_999)]
    assert [tip.room_ms for tip in tips] == [0, 9_000, 30_500, 40_000]


async def test_a_name_that_has_changed_is_shown_soon(hall: Hall) -> None:
    """Also of who has left and is to be forgotten: no event of the room tells of it."""
    seconds = 0.0
    cache = SupporterCache(lambda: seconds)
    fan = await hall.fan(name="Real Name")
    await hall.tip(fan, 10)

    async def names() -> list[str]:
        async def make() -> supporters.Supporters:
            return await supporters.of_room(hall.session, hall.room, present=False, limit=5)

        return [
            each.name
            for each in (await cache.of(hall.room, present=False, limit=5, make=make)).items
        ]

    assert await names() == ["Real Name"]
    await hall.session.execute(
        sa.update(User).where(User.id == fan.user_id).values(display_name="Somebody")
    )
    assert await names() == ["Real Name"]
    seconds = MAX_AGE_SECONDS
    assert await names() == ["Somebody"]


def cue(start_ms: int, end_ms: int) -> ShownCue:
    kind = CueKind.LIVE
    return ShownCue(start_ms, uuid7(), "Ada", kind, start_ms, end_ms, None, "en", str(start_ms))


@given(
    st.lists(st.tuples(st.integers(0, 200_000), st.integers(1, 9_000)), max_size=12),
    st.integers(0, 250_000),
)
def test_the_sentence_is_the_last_that_had_begun(
    spans: list[tuple[int, int]], room_ms: int
) -> None:
    cues = [cue(start, start + length) for start, length in sorted(spans)]
    found = sentence_at(cues, room_ms)
    near = [c for c in cues if c.start_ms <= room_ms <= c.end_ms + LONGEST_PAUSE_MS]
    assert (found is None) == (not near)
    if found is not None:
        assert found.start_ms == max(c.start_ms for c in near)


async def board(hall: Hall, *, present: bool = False) -> list[tuple[str, int, int]]:
    found = await supporters.of_room(hall.session, hall.room, present=present, limit=10)
    return [(each.name, each.stars, each.tips) for each in found.items]


async def test_supporters_and_the_front_row(hall: Hall) -> None:
    ada, ben, cat = [await hall.fan(name=name) for name in ("Ada", "Ben", "Cat")]
    await hall.tip(ada, 30)
    await hall.tip(ada, 40)
    await hall.tip(ben, 60)
    await hall.tip(cat, 500, anonymous=True)
    assert await board(hall) == [("Ada", 70, 2), ("Ben", 60, 1)]
    found = await supporters.of_room(hall.session, hall.room, present=False, limit=1)
    assert (len(found.items), found.anonymous_stars, found.total_stars) == (1, 500, 630)
    assert await board(hall, present=True) == []
    for who in (ben, cat):
        await join_room(hall.session, principal=who, room_id=hall.room.id)
    assert await board(hall, present=True) == [("Ben", 60, 1)]
    await leave_room(hall.session, principal=ben, room_id=hall.room.id)
    assert await board(hall, present=True) == []


async def test_supporters_of_a_creator_are_those_of_rooms_that_one_may_hear(hall: Hall) -> None:
    """What the creator gives away in a room of their own is no support of theirs."""
    fan, host = await hall.fan(name="Ada"), hall.host
    await hall.offer(10_000)
    await hall.speaker()
    await hall.give(host, 50)
    await hall.tip(host, 50)
    old = await hall.tip(fan, 100)
    old.at -= timedelta(days=40)
    await hall.tip(fan, 20)
    hidden = Hall(hall.house, await hall.house.live_room(visibility=Visibility.UNLISTED))
    await hidden.tip(fan, 7)
    assert host.user_id is not None

    async def stars(caller: Principal, since: timedelta | None = None) -> int:
        found = await supporters.of_creator(
            hall.session,
            caller,
            host.user_id or uuid7(),
            since=None if since is None else old.at + since,
            until=None,
            limit=10,
        )
        assert fan.user_id is not None
        total = found.total_stars
        assert found.items == [Supporter(fan.user_id, "Ada", total, found.items[0].tips)]
        return total

    assert await stars(hall.house.stranger) == 120
    assert await stars(hall.house.stranger, timedelta(days=1)) == 20
    assert await stars(host) == 127


async def test_thanks_are_said_once_and_told(hall: Hall) -> None:
    fan = await hall.fan()
    tip = await hall.tip(fan)
    with pytest.raises(Forbidden):
        await thanks.thank(hall.session, principal=fan, room_id=hall.room.id, tip_id=tip.id)
    with pytest.raises(TipUnknown):
        await thanks.thank(hall.session, principal=hall.host, room_id=hall.room.id, tip_id=uuid7())
    for _ in range(2):
        room, thanked = await thanks.thank(
            hall.session, principal=hall.host, room_id=hall.room.id, tip_id=tip.id
        )
    told = await events(hall, "tip.thanked")
    assert [(event.seq, event.data) for event in told] == [
        (room.event_seq, {"tip_id": str(tip.id)})
    ]
    assert thanked.thanked_at is not None


async def test_what_is_taken_out_is_gone_from_the_event_too(hall: Hall) -> None:
    fan = await hall.fan()
    tip, other = await hall.tip(fan, message="rude"), await hall.tip(fan, message="kind")
    for _ in range(2):
        await thanks.hide_message(
            hall.session, principal=hall.host, room_id=hall.room.id, tip_id=tip.id
        )
    told = await events(hall, "tip.sent")
    assert [event.data["message"] for event in told] == [None, "kind"]
    assert len(await events(hall, "tip.hidden")) == 1
    shown = await tip_lists.shown(hall.session, hall.room, tip)
    assert TipOut.of(shown, hall.host.user_id).message is None
    assert TipOut.of(shown, fan.user_id).message == "rude"
    assert TipOut.of(await tip_lists.shown(hall.session, hall.room, other), None).message == "kind"


async def test_who_is_anonymous_is_named_to_themselves_alone(hall: Hall) -> None:
    fan = await hall.fan(name="Ada")
    tip = await hall.tip(fan, anonymous=True)
    shown = await tip_lists.shown(hall.session, hall.room, tip)
    for viewer in (None, hall.host.user_id):
        out = TipOut.of(shown, viewer)
        assert (out.user_id, out.name, out.mine) == (None, None, False)
    assert TipOut.of(shown, fan.user_id).name == "Ada"


async def events(hall: Hall, kind: str) -> list[RoomEvent]:
    query = sa.select(RoomEvent).where(RoomEvent.room_id == hall.room.id, RoomEvent.kind == kind)
    rows = query.order_by(RoomEvent.seq).execution_options(populate_existing=True)
    return list(await hall.session.scalars(rows))
