import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from core.ids import uuid7
from core.webhooks.signing import new_secret, seal, signature, signed_headers, unseal

INSTALLATION = b"a secret of this test installation, long enough"


def test_the_vector_of_the_specification() -> None:
    assert (
        signature(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
            timestamp=1614265330,
            body=b'{"test": 2432232314}',
        )
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_every_secret_in_force_signs() -> None:
    secrets = [new_secret(), new_secret()]
    headers = signed_headers(secrets, message_id="msg_1", timestamp=1, body=b"{}")
    assert headers["webhook-id"] == "msg_1"
    assert headers["webhook-timestamp"] == "1"
    assert headers["webhook-signature"].split(" ") == [
        signature(secret, message_id="msg_1", timestamp=1, body=b"{}") for secret in secrets
    ]


@given(st.text(max_size=100))
def test_a_sealed_secret_opens_for_its_row_only(secret: str) -> None:
    row, other = uuid7(), uuid7()
    sealed = seal(INSTALLATION, row, secret)
    assert unseal(INSTALLATION, row, sealed) == secret
    with pytest.raises(InvalidTag):
        unseal(INSTALLATION, other, sealed)
    with pytest.raises(InvalidTag):
        unseal(b"another installation's secret, also long", row, sealed)


def test_the_same_secret_is_never_sealed_alike() -> None:
    row = uuid7()
    assert seal(INSTALLATION, row, "x") != seal(INSTALLATION, row, "x")
