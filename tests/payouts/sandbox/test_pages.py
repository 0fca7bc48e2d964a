"""The hosted pages, by what a browser gets: no scripts, no other origin, a loud banner."""

import asyncio
import re
from urllib.parse import urlsplit

import pytest

from tests.payouts.sandbox.platform import Platform

DAY = 24 * 3600
FIELD = re.compile(r'<input id="(\w+)"')


async def test_the_card_form_is_labelled_and_says_that_it_is_a_test(shop: Platform) -> None:
    made = await shop.session(customer_email="grace@example.org")
    shown = await shop.http.get(urlsplit(made["url"]).path)
    assert shown.status_code == 200
    assert "TEST MONEY" in shown.text
    assert "6.99 USD" in shown.text
    assert "500 Stars" in shown.text
    assert 'value="grace@example.org"' in shown.text
    fields = FIELD.findall(shown.text)
    assert fields == ["email", "number", "expiry", "cvc", "name"]
    assert all(f'<label for="{field}">' in shown.text for field in fields)
    assert 'href="http://127.0.0.1:1/back"' in shown.text
    assert "script" not in shown.text
    assert "default-src 'none'" in shown.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"number": "4000 0000 0000 0002"}, "Your card was declined."),
        ({"number": "4000 0000 0000 9995"}, "Your card has insufficient funds."),
        ({"number": "4111 1111 1111 1111"}, "no real card is taken"),
        ({"expiry": "13 / 34"}, "expiration date"),
        ({"expiry": "01 / 20"}, "is in the past"),
        ({"cvc": ""}, "security code is incomplete"),
    ],
)
async def test_what_is_wrong_is_said_and_can_be_put_right(
    shop: Platform, changed: dict[str, str], said: str
) -> None:
    made = await shop.session()
    path = urlsplit(made["url"]).path
    good = {
        "email": "ada@example.org",
        "name": "Ada <b>",
        "number": "4242424242424242",
        "expiry": "01/2031",
        "cvc": "1234",
    }
    refused = await shop.http.post(path, data=good | changed)
    assert refused.status_code == 200
    assert said in refused.text
    assert 'role="alert"' in refused.text
    assert "Ada &lt;b&gt;" in refused.text
    paid = await shop.http.post(path, data=good)
    assert paid.status_code == 303
    again = await shop.http.post(path, data=good)
    assert again.headers["location"] == paid.headers["location"]
    assert len((await shop.v1.payment_intents.list_async())["data"]) == 1
    charges = (await shop.v1.charges.list_async())["data"]
    assert [each["status"] for each in charges].count("succeeded") == 1


@pytest.mark.parametrize(
    ("card", "answer", "paid"),
    [
        ("4000002500003155", "complete", True),
        ("4000002500003155", "fail", False),
        ("4000008400001629", "complete", False),
    ],
)
async def test_3d_secure_is_a_step_between(
    shop: Platform, card: str, answer: str, paid: bool
) -> None:
    made = await shop.session()
    step = (await shop.pay(made["url"], card)).headers["location"]
    shown = await shop.http.get(step)
    assert "TEST MONEY" in shown.text
    assert "Is this you?" in shown.text
    session = await shop.v1.checkout.sessions.retrieve_async(made["id"])
    assert session["status"] == "open"
    back = await shop.http.post(step, data={"answer": answer})
    session = await shop.v1.checkout.sessions.retrieve_async(made["id"])
    assert session["payment_status"] == ("paid" if paid else "unpaid")
    assert back.headers["location"] == (
        f"http://127.0.0.1:1/done?session={made['id']}" if paid else made["url"]
    )
    assert (await shop.http.get(step)).status_code == 303
    if not paid:
        assert 'role="alert"' in (await shop.http.get(urlsplit(made["url"]).path)).text
        assert (await shop.pay(made["url"])).status_code == 303


async def test_impatient_clicks_pay_once(shop: Platform) -> None:
    plain, secured = await shop.session(), await shop.session()
    answers = await asyncio.gather(*(shop.pay(plain["url"]) for _ in range(4)))
    assert {each.headers["location"] for each in answers} == {
        f"http://127.0.0.1:1/done?session={plain['id']}"
    }
    step = (await shop.pay(secured["url"], "4000002500003155")).headers["location"]
    await asyncio.gather(*(shop.http.post(step, data={"answer": "complete"}) for _ in range(4)))
    assert len((await shop.v1.charges.list_async())["data"]) == 2
    completed = await shop.v1.events.list_async({"type": "checkout.session.completed"})
    assert len(completed["data"]) == 2


async def test_sessions_expire_by_time_and_by_request(shop: Platform) -> None:
    abandoned, ended = await shop.session(), await shop.session()
    step = (await shop.pay(abandoned["url"], "4000002500003155")).headers["location"]
    expired = await shop.v1.checkout.sessions.expire_async(ended["id"])
    assert (expired["status"], expired["url"]) == ("expired", None)
    assert (await shop.http.get(urlsplit(ended["url"]).path)).status_code == 410
    await shop.control("clock", advance_seconds=DAY)
    session = await shop.v1.checkout.sessions.retrieve_async(abandoned["id"])
    assert session["status"] == "expired"
    intent = await shop.v1.payment_intents.retrieve_async(session["payment_intent"])
    assert intent["status"] == "canceled"
    late = await shop.http.post(step, data={"answer": "complete"})
    assert late.status_code == 303
    assert (await shop.v1.charges.list_async())["data"] == []
    assert (await shop.pay(abandoned["url"])).status_code == 410
    for path in ("/c/pay/cs_test_none", "/3ds/pi_none", "/express/acct_none"):
        assert (await shop.http.get(path)).status_code == 404


LANDMARKS = re.compile(r"<(header|main|nav|footer|aside)\b")


async def test_every_page_lies_in_landmarks(shop: Platform) -> None:
    """Screen readers jump by them: the warning is the page's header, the rest its main part."""
    made = await shop.session()
    account = await shop.creator()
    asked = {"account": account, "type": "account_onboarding"}
    back = {"refresh_url": "http://127.0.0.1:1/r", "return_url": "http://127.0.0.1:1/back"}
    link = await shop.v1.account_links.create_async({**asked, **back})
    step = (await shop.pay(made["url"], "4000002500003155")).headers["location"]
    paths = [urlsplit(url).path for url in (made["url"], step, link["url"])]
    for path in (*paths, f"/express/{account}", "/c/pay/cs_test_none"):
        shown = (await shop.http.get(path)).text
        assert LANDMARKS.findall(shown) == ["header", "main"], path
        body = shown.partition("<body>")[2]
        between = re.sub(r"(?s)<(header|main)\b.*?</\1>", "", body.partition("</body>")[0])
        assert between.strip() == "", path
