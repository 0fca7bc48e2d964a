"""What the API tells somebody of their own Stars and earnings."""

from datetime import datetime
from typing import Any

from tests.payouts.shop import Person, Shop


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_a_wallet_and_a_month_in_the_api(shop: Shop) -> None:
    buyer, creator = await shop.person(), await shop.person()
    order = await shop.bought(buyer)
    await shop.tip(buyer, creator, 100)

    async def get(path: str, person: Person = buyer) -> Any:
        answer = await shop.http.get(path, headers=person.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    newest = await get("/wallet/history?limit=1")
    assert [(each["kind"], each["stars"]) for each in newest["items"]] == [("tip", -100)]
    older = await get(f"/wallet/history?before={newest['next']}")
    assert [(each["kind"], each["stars"]) for each in older["items"]] == [("purchase", 500)]
    receipt = await get(f"/orders/{order['id']}/receipt")
    assert (receipt["unused_stars"], receipt["refundable_minor"]) == (400, 560)
    answer = await shop.http.post(f"/orders/{order['id']}/refunds", headers=buyer.headers)
    assert answer.json()["amount_minor"] == 560
    await shop.settle()
    receipt = await get(f"/orders/{order['id']}/receipt")
    assert receipt["unused_stars"] == 0
    assert receipt["seller"] == [], "nobody is set here"
    [refund] = receipt["refunds"]
    assert refund["state"] == "succeeded"
    assert moment(refund["settled_at"]) >= moment(refund["created_at"])
    given = (await get("/wallet/history"))["items"]
    bought = next(each for each in given if each["kind"] == "purchase")
    assert moment(given[0]["at"]) >= moment(bought["at"]), (
        "by the clock of the money, as what was bought"
    )

    earned = await get("/creators/me/earnings", creator)
    assert (earned["pending_minor"], earned["matured_minor"]) == (100, 0)
    assert [each["amount_minor"] for each in earned["maturing"]] == [100]
    month = (await get("/creators/me/statements", creator))["months"][0]
    told = await get(f"/creators/me/statements/{month}", creator)
    assert told["closing_owed_minor"] == 100
    for path in (f"{month}.csv", f"{month}/entries.csv"):
        saved = await shop.http.get(f"/creators/me/statements/{path}", headers=creator.headers)
        assert saved.headers["content-type"].startswith("text/csv")
        assert "1.00" in saved.text
    refused = await shop.http.get("/creators/me/statements/2026-13", headers=creator.headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "no_month")
