import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from core.auth.room_tokens import (
    MAX_TTL,
    RoomClaims,
    RoomTokenExpired,
    RoomTokenInvalid,
    RoomTokenLifetime,
    RoomTokenTooLarge,
    issue_room_token,
    looks_like_jwt,
    read_room_token,
)
from core.errors import Unauthenticated
from core.keys import derive_key

SECRET = b"the installation's secret, 32 bytes or more"
CLAIMS = RoomClaims(
    platform_id=uuid4(),
    user_id=uuid4(),
    room_id=uuid4(),
    display_name="Ada Lovelace",
    role="speaker",
    groups=("patrons", "staff"),
    participant_id=uuid4(),
)
ISSUED = issue_room_token(SECRET, CLAIMS, ttl=timedelta(minutes=10))


def b64(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def payload_of(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    payload: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return payload


def signed(
    payload: dict[str, Any], *, key: bytes | None = None, typ: str = "encore-room+jwt"
) -> str:
    return jwt.encode(
        {"alg": "HS256", "typ": typ},
        payload,
        OctKey.import_key(key or derive_key(SECRET, "room-token")),
        ["HS256"],
    )


@pytest.mark.parametrize(
    "claims", [CLAIMS, replace(CLAIMS, participant_id=None, groups=(), display_name="Zoë 🎙")]
)
def test_what_is_issued_is_read(claims: RoomClaims) -> None:
    issued = issue_room_token(SECRET, claims, ttl=timedelta(minutes=10))
    assert read_room_token(SECRET, issued.token) == claims
    left = issued.expires_at - datetime.now(UTC)
    assert timedelta(minutes=9, seconds=55) < left <= timedelta(minutes=10)
    assert read_room_token(SECRET, issued.token).expires_at == issued.expires_at
    assert looks_like_jwt(issued.token)


def test_two_tokens_of_the_same_claims_differ() -> None:
    again = issue_room_token(SECRET, CLAIMS, ttl=timedelta(minutes=10))
    assert payload_of(again.token)["jti"] != payload_of(ISSUED.token)["jti"]


@pytest.mark.parametrize("ttl", [timedelta(0), timedelta(seconds=-1), MAX_TTL + timedelta(1)])
def test_the_lifetime_is_bounded(ttl: timedelta) -> None:
    with pytest.raises(RoomTokenLifetime):
        issue_room_token(SECRET, CLAIMS, ttl=ttl)


def test_an_expired_token_says_so() -> None:
    past = datetime.now(UTC) - timedelta(minutes=1)
    token = issue_room_token(SECRET, CLAIMS, ttl=timedelta(seconds=30), issued_at=past).token
    with pytest.raises(RoomTokenExpired) as caught:
        read_room_token(SECRET, token)
    assert caught.value.code == "room_token_expired"


def test_leeway_covers_small_clock_differences() -> None:
    now = datetime.now(UTC)
    early = issue_room_token(SECRET, CLAIMS, issued_at=now + timedelta(seconds=3))
    late = issue_room_token(
        SECRET, CLAIMS, ttl=timedelta(seconds=7), issued_at=now - timedelta(seconds=10)
    )
    assert read_room_token(SECRET, early.token) == CLAIMS
    assert read_room_token(SECRET, late.token) == CLAIMS


def test_a_token_from_the_future_is_not_valid() -> None:
    future = datetime.now(UTC) + timedelta(minutes=1)
    with pytest.raises(RoomTokenInvalid):
        read_room_token(SECRET, issue_room_token(SECRET, CLAIMS, issued_at=future).token)


WITHOUT = ["iss", "aud", "exp", "nbf", "iat", "jti", "sub", "room", "platform", "name", "role"]
WRONG: list[tuple[str, object]] = [
    ("iss", "someone-else"),
    ("aud", "encore:capability"),
    ("aud", []),
    ("exp", "tomorrow"),
    ("exp", True),
    ("nbf", 2**40),
    ("iat", 2**40),
    ("sub", "not-a-uuid"),
    ("sub", 7),
    ("room", None),
    ("groups", 7),
    ("participant", "not-a-uuid"),
]


@pytest.mark.parametrize("name", WITHOUT)
def test_every_claim_is_required(name: str) -> None:
    payload = payload_of(ISSUED.token)
    del payload[name]
    with pytest.raises(RoomTokenInvalid):
        read_room_token(SECRET, signed(payload))


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_signed_but_wrong_claim_is_refused(name: str, value: object) -> None:
    with pytest.raises(RoomTokenInvalid):
        read_room_token(SECRET, signed({**payload_of(ISSUED.token), name: value}))


def test_another_kind_of_token_under_the_same_key_is_refused() -> None:
    with pytest.raises(RoomTokenInvalid):
        read_room_token(SECRET, signed(payload_of(ISSUED.token), typ="JWT"))


@pytest.mark.parametrize("key", [SECRET, derive_key(SECRET, "capability"), b"x" * 32])
def test_another_key_is_refused(key: bytes) -> None:
    with pytest.raises(RoomTokenInvalid):
        read_room_token(SECRET, signed(payload_of(ISSUED.token), key=key))


def test_the_algorithm_is_pinned() -> None:
    header, payload, signature = ISSUED.token.split(".")
    none = b64({"alg": "none", "typ": "encore-room+jwt"})
    rsa = RSAKey.generate_key(2048)
    other = jwt.encode({"alg": "RS256", "typ": "encore-room+jwt"}, payload_of(ISSUED.token), rsa)
    hs512 = b64({"alg": "HS512", "typ": "encore-room+jwt"})
    for forged in (f"{none}.{payload}.", f"{none}.{payload}.{signature}", other, f"{header}.."):
        with pytest.raises(RoomTokenInvalid):
            read_room_token(SECRET, forged)
    with pytest.raises(RoomTokenInvalid):
        read_room_token(SECRET, f"{hs512}.{payload}.{signature}")


def test_a_changed_payload_is_refused() -> None:
    header, _, signature = ISSUED.token.split(".")
    promoted = b64({**payload_of(ISSUED.token), "role": "host"})
    with pytest.raises(RoomTokenInvalid):
        read_room_token(SECRET, f"{header}.{promoted}.{signature}")


@hypothesis_settings(deadline=None)
@given(position=st.integers(0, len(ISSUED.token) - 1), change=st.integers(1, 63))
def test_no_changed_character_passes(position: int, change: int) -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    old = ISSUED.token[position]
    new = alphabet[(alphabet.find(old) + change) % 64]
    changed = ISSUED.token[:position] + new + ISSUED.token[position + 1 :]
    try:
        claims = read_room_token(SECRET, changed)
    except Unauthenticated:
        return
    # base64url of 32 bytes leaves two bits unused at its end; only those may differ.
    assert position == len(ISSUED.token) - 1
    assert claims == CLAIMS


@hypothesis_settings(deadline=None)
@given(st.one_of(st.text(), st.lists(st.binary(max_size=80), min_size=3, max_size=3).map(
    lambda parts: ".".join(b64(part) for part in parts)
)))  # fmt: skip
def test_anything_else_raises_only_its_problem(token: str) -> None:
    with pytest.raises(RoomTokenInvalid):
        read_room_token(SECRET, token)


@hypothesis_settings(deadline=None)
@given(
    header=st.dictionaries(
        st.sampled_from(["alg", "typ", "crit", "b64", "kid", "zip", "enc", "jwk"]),
        st.one_of(st.text(max_size=8), st.integers(), st.none(), st.lists(st.text(max_size=4))),
    ),
    payload=st.recursive(
        st.one_of(st.none(), st.integers(), st.text(max_size=8)),
        lambda inner: st.dictionaries(st.text(max_size=6), inner, max_size=4),
    ),
)
def test_any_json_in_the_parts_raises_only_its_problem(header: object, payload: object) -> None:
    with pytest.raises(RoomTokenInvalid):
        read_room_token(SECRET, f"{b64(header)}.{b64(payload)}.{b64(b'x' * 32)}")


def test_what_could_not_be_read_is_not_issued() -> None:
    groups = tuple(f"group-{number:04}" for number in range(1000))
    with pytest.raises(RoomTokenTooLarge):
        issue_room_token(SECRET, replace(CLAIMS, groups=groups))


def test_a_huge_token_is_refused_unread() -> None:
    with pytest.raises(RoomTokenInvalid):
        read_room_token(SECRET, ISSUED.token + "A" * 10_000)
