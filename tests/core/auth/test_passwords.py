import pytest
from argon2 import PasswordHasher

from core.auth.passwords import (
    MAX_LENGTH,
    PasswordUnfit,
    check_password,
    hash_password,
    needs_rehash,
    verify_password,
)

GOOD = "a good long passphrase"


@pytest.mark.parametrize(
    "password", [GOOD, "x7$kQp!9zW", "пароль-которого-нет", "🎙" * 3 + "abcdefg"]
)
def test_fit(password: str) -> None:
    check_password(password, email="ada@example.org", display_name="Ada")


@pytest.mark.parametrize(
    "password",
    [
        "",
        "short",
        "x7$kQp!9z",
        "x" * (MAX_LENGTH + 1),
        "1234567890",
        "Password123",
        "QWERTYUIOP",
        "aaaaaaaaaaaa",
        "abababababab",
        "lovelace-1815",
        "lovelace-1815@example.org",
        "The Countess",
    ],
)
def test_unfit(password: str) -> None:
    with pytest.raises(PasswordUnfit):
        check_password(password, email="Lovelace-1815@example.org", display_name="the countess")


async def test_a_hash_is_argon2id_and_salted() -> None:
    first, second = await hash_password(GOOD), await hash_password(GOOD)
    assert first.startswith("$argon2id$")
    assert first != second
    assert not needs_rehash(first)
    assert await verify_password(first, GOOD)
    assert not await verify_password(first, GOOD + "!")


async def test_nothing_matches_where_nothing_is_stored() -> None:
    assert not await verify_password(None, GOOD)
    assert not await verify_password(None, "")
    assert not await verify_password("not a hash", GOOD)


async def test_the_same_characters_match_however_they_are_composed() -> None:
    stored = await hash_password("cafe\u0301 cre\u0300me")
    assert await verify_password(stored, "café crème")


def test_weaker_parameters_are_noticed() -> None:
    assert needs_rehash(PasswordHasher(time_cost=1, memory_cost=1024).hash(GOOD))
