"""The pure parts of a tip: words and tiers, its place on the clock, who shares it."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from payouts import limits, tip_schemas
from payouts.limits import Caps, SpendingLimitReached
from payouts.lots import Lot, Taken, split
from payouts.postings import Share, Terms, tip
from payouts.spending import StarsMissing, Wallet
from payouts.tiers import TIERS, MessageTooLong, Tier, message_for, plain_line, tier_of
from payouts.tip_place import landed, shares_of
from payouts.tip_wishes import TipWish
from rooms.moments import Course, Move, recorded

HOST, ADA, BEN, CAT = (UUID(int=n) for n in range(1, 5))


def test_more_stars_have_more() -> None:
    assert TIERS[0].from_stars == 1
    for lower, higher in pairwise(TIERS):
        assert lower.from_stars < higher.from_stars
        assert lower.message_chars < higher.message_chars
        assert lower.seconds < higher.seconds
    assert len({tier.color for tier in TIERS}) == len(TIERS)


@pytest.mark.parametrize("tier", TIERS, ids=lambda tier: tier.name)
def test_white_can_be_read_on_every_color(tier: Tier) -> None:
    """WCAG 2.2, 1.4.3: at least 4.5 to 1."""
    channels = [int(tier.color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    assert 1.05 / (luminance + 0.05) >= 4.5


@given(st.integers(1, 1_000_000), st.integers(1, 1_000_000))
def test_nothing_shrinks_with_the_amount(one: int, other: int) -> None:
    lower, higher = tier_of(min(one, other)), tier_of(max(one, other))
    assert lower.from_stars <= min(one, other)
    assert lower.message_chars <= higher.message_chars
    assert lower.seconds <= higher.seconds


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("  well\r\n\tsaid ", "well said"),
        ("a\x00b\x1b[31mc\x07", "ab[31mc"),
        ("safe\u202egnp.exe\u2066", "safegnp.exe"),
        ("\ud800\ufeffx\u200b", "x"),
        ("e\u0301", "\u00e9"),
        (
            "\U0001f468\u200d\U0001f469\u200d\U0001f467",
            "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        ),
        ("a" + "\u0333" * 50, "a" + "\u0333" * 5),
        ("a" + "\u20dd" * 50, "a" + "\u20dd" * 5),
        ("\u3164 \u2800\u0301", ""),
        ("\u200d \u2028\u2029", ""),
    ],
)
def test_a_message_is_one_plain_line(sent: str, shown: str) -> None:
    assert plain_line(sent) == shown


def test_titles_have_no_piles_of_accents() -> None:
    """Of goals, as of rooms."""
    goal = tip_schemas.NewGoal(title="A boat" + "\u0336\u0489" * 60, target_stars=1)
    assert goal.title == "A boat" + "\u0336\u0489" * 2 + "\u0336"


@given(st.text(max_size=200))
def test_what_is_plain_stays_as_it_is(text: str) -> None:
    once = plain_line(text)
    assert plain_line(once) == once
    assert once.isprintable() or "\u200c" in once or "\u200d" in once
    assert "\n" not in once
    once.encode()


def test_words_have_room_by_the_stars() -> None:
    assert message_for(1, "x" * 40) == "x" * 40
    assert message_for(1, " \n ") is None
    with pytest.raises(MessageTooLong) as refused:
        message_for(9, "x" * 41)
    assert refused.value.extra == {"max_chars": 40}
    assert "x" not in refused.value.detail.replace("max", "")


@st.composite
def courses(draw: st.DrawFn) -> Course:
    """Recorded in stretches; the last one may run on."""
    edges = sorted(draw(st.lists(st.integers(0, 7_200_000), max_size=8, unique=True)))
    now = draw(st.integers(edges[-1] if edges else 0, 7_300_000))
    kinds = ["recording.started", "recording.paused", "recording.resumed"]
    marks = [(ms, kinds[0] if n == 0 else kinds[2 - n % 2]) for n, ms in enumerate(edges)]
    return Course(now, recorded(marks, now), ())


@given(courses(), st.integers(-(10**12), 10**12))
def test_a_tip_lands_on_the_record(course: Course, wanted: int) -> None:
    at = landed(course, wanted)
    assert 0 <= at <= course.now_ms
    assert landed(course, at) == at
    if not course.recorded:
        assert at == min(max(wanted, 0), course.now_ms)
        return
    assert any(start <= at <= end for start, end in course.recorded)
    if any(start <= wanted < end for start, end in course.recorded):
        assert at == wanted


def test_what_is_off_the_record_is_where_it_goes_on() -> None:
    marks = [
        (1_000, "recording.started"),
        (5_000, "recording.paused"),
        (9_000, "recording.resumed"),
        (12_000, "recording.stopped"),
    ]
    course = Course(20_000, recorded(marks, 20_000), ())
    assert [landed(course, ms) for ms in (0, 4_999, 6_000, 9_500, 15_000)] == [
        1_000,
        4_999,
        9_000,
        9_500,
        12_000,
    ]


def test_the_stage_as_it_was() -> None:
    moves = (
        Move(0, HOST, on_stage=True),
        Move(1_000, ADA, on_stage=True, share_bps=5_000),
        Move(2_000, BEN, on_stage=True),
        Move(3_000, ADA, on_stage=False),
        Move(4_000, ADA, on_stage=True, share_bps=100),
    )
    course = Course(5_000, (), moves)
    assert course.on_stage(999) == {HOST: 0}
    assert course.on_stage(2_500) == {HOST: 0, ADA: 5_000, BEN: 0}
    assert course.on_stage(3_000) == {HOST: 0, BEN: 0}
    assert course.on_stage(4_000) == {HOST: 0, BEN: 0, ADA: 100}


def test_each_has_what_they_agreed_to_divided_by_the_speakers() -> None:
    stage = {HOST: 0, ADA: 5_000, BEN: 1_000}
    shares = shares_of(stage, host=HOST, payer=CAT)
    assert shares == [Share(ADA, 5_000), Share(BEN, 1_000), Share(HOST, 14_000)]
    assert split(100, [share.weight for share in shares]) == (25, 5, 70)


def earned_by_ada(key: str, at: datetime) -> int:
    """Of a tip of one Star, of which half is hers."""
    shares = shares_of({HOST: 0, ADA: 5_000}, host=HOST, payer=CAT)
    taken = [Taken(CAT, 0, 1, 1)]
    made = tip(key=key, payer_id=CAT, taken=taken, shares=shares, terms=Terms(), at=at)
    return -sum(entry.amount for entry in made.entries if entry.account.owner == str(ADA))


def test_who_agreed_to_a_half_has_half_of_a_thousand_tips_of_one_star() -> None:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    assert 450 < sum(earned_by_ada(f"{number}", at) for number in range(1_000)) < 550


def test_who_tips_cannot_choose_keys_by_which_a_friend_has_what_does_not_divide() -> None:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    chosen = [key for key in map(str, range(2_000)) if earned_by_ada(key, at)]
    booked = at + timedelta(microseconds=1)
    assert 0.4 < sum(earned_by_ada(key, booked) for key in chosen) / len(chosen) < 0.6


def test_nobody_tips_themselves() -> None:
    assert shares_of({HOST: 0, ADA: 5_000}, host=HOST, payer=ADA) == [Share(HOST, 1)]
    assert shares_of({HOST: 0, ADA: 5_000}, host=HOST, payer=HOST) == [Share(ADA, 5_000)]
    assert shares_of({HOST: 0, ADA: 0}, host=HOST, payer=HOST) == []
    assert shares_of({}, host=HOST, payer=HOST) == []
    assert shares_of({}, host=HOST, payer=ADA) == [Share(HOST, 1)]


@given(
    stage=st.dictionaries(st.sampled_from([HOST, ADA, BEN, CAT]), st.integers(0, 10_000)),
    payer=st.sampled_from([HOST, ADA, BEN, CAT, UUID(int=9)]),
    earned=st.integers(1, 10**9),
)
def test_a_split_is_exact_and_fair(stage: dict[UUID, int], payer: UUID, earned: int) -> None:
    shares = shares_of(stage, host=HOST, payer=payer)
    assert payer not in {share.creator_id for share in shares}
    assert len({share.creator_id for share in shares}) == len(shares)
    if not shares:
        assert payer == HOST
        return
    amounts = split(earned, [share.weight for share in shares])
    assert sum(amounts) == earned
    speakers = [who for who in stage if who not in (HOST, payer)]
    if payer != HOST and speakers:
        for share, amount in zip(shares, amounts, strict=True):
            if share.creator_id != HOST:
                agreed = earned * stage[share.creator_id] / (10_000 * len(speakers))
                assert abs(amount - agreed) < 1


@pytest.mark.parametrize(
    "model",
    [
        tip_schemas.FullTierOut,
        tip_schemas.GoalOut,
        tip_schemas.LimitsOut,
        tip_schemas.MyTipPage,
        tip_schemas.RoomGoalOut,
        tip_schemas.SupporterList,
        tip_schemas.TipOut,
        tip_schemas.TipPage,
    ],
)
def test_examples_are_what_is_answered(model: type[BaseModel]) -> None:
    for example in model.model_json_schema()["examples"]:
        assert model.model_validate(example).model_dump(mode="json") == example


def test_examples_can_be_sent() -> None:
    for model in (tip_schemas.NewTip, tip_schemas.NewGoal, tip_schemas.OwnLimits):
        for example in model.model_json_schema()["examples"]:
            model.model_validate(example)


def test_the_api_says_what_stars_buy() -> None:
    said = tip_schemas.NewTip.model_json_schema()["properties"]["message"]["description"]
    assert all(f"{tier.message_chars} from {tier.from_stars}" in said for tier in TIERS)
    assert tip_schemas.TierList.all().tiers[0].from_stars == 1


def test_another_wish_is_another_digest() -> None:
    room, at = uuid4(), datetime.now(UTC)
    wishes = [
        TipWish("a-key-of-mine", 5),
        TipWish("a-key-of-mine", 6),
        TipWish("a-key-of-mine", 5, "well said"),
        TipWish("a-key-of-mine", 5, anonymous=True),
        TipWish("a-key-of-mine", 5, heard_at=at),
        TipWish("a-key-of-mine", 5, media_ms=0),
    ]
    assert len({wish.digest(room) for wish in wishes} | {wishes[0].digest(uuid4())}) == 7
    assert wishes[0].digest(room) == TipWish("another-key", 5).digest(room)


@pytest.mark.parametrize(
    ("spent", "limit", "said"),
    [
        (1_000, 1_000, "The limit of 1,000 Stars for this hour is used up: tip later."),
        (1, 1, "The limit of 1 Star for this hour is used up: tip later."),
        (0, 0, "The limit is 0 Stars for this hour."),
        (500, 2_000, "You have 1,500 left of 2,000 Stars for this hour: tip fewer, or later."),
    ],
)
def test_a_limit_says_what_is_left_of_it(spent: int, limit: int, said: str) -> None:
    spending = limits.Spending(spent, spent, None, None, spent, None)
    with pytest.raises(SpendingLimitReached) as refused:
        limits.check(spending, 2_001, Caps(limit, 10_000))
    assert refused.value.detail == said


@pytest.mark.parametrize(
    ("there", "stars", "said"),
    [
        (0, 1, "This tip takes 1 Star, and you have none: buy some first."),
        (1_000, 5_000, "This tip takes 5,000 Stars, and you have 1,000: buy some first."),
    ],
)
def test_a_wallet_says_what_it_lacks(there: int, stars: int, said: str) -> None:
    wallet = Wallet(lots=[Lot(UUID(int=9), there, 0, 0)] if there else [])
    with pytest.raises(StarsMissing) as refused:
        wallet.take(stars)
    assert refused.value.detail == said
