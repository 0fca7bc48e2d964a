"""Connected accounts: onboarded, transferred to, paid out; and what goes wrong on the way."""

from urllib.parse import urlsplit

import pytest
import stripe

from tests.payouts.sandbox.platform import CONNECT_SECRET, Platform
from tests.polling import until

DAY = 24 * 3600


async def funded(shop: Platform) -> None:
    """6.49 in the platform's balance."""
    await shop.paid("4000000000000077")


async def test_a_creator_is_onboarded_by_hosted_pages(shop: Platform) -> None:
    account = await shop.v1.accounts.create_async(
        {"country": "DE", "capabilities": {"transfers": {"requested": True}}}
    )
    assert account["capabilities"]["transfers"] == "inactive"
    assert "external_account" in account["requirements"]["currently_due"]
    with pytest.raises(stripe.InvalidRequestError, match="has not completed onboarding"):
        await shop.v1.accounts.login_links.create_async(account["id"])
    params = {
        "account": account["id"],
        "type": "account_onboarding",
        "refresh_url": "http://127.0.0.1:1/again",
        "return_url": "http://127.0.0.1:1/onboarded",
    }
    link = await shop.v1.account_links.create_async(params)
    path = urlsplit(link["url"]).path
    shown = await shop.http.get(path)
    assert "TEST MONEY" in shown.text
    wrong = await shop.http.post(path, data={"first_name": "Grace", "last_name": "Hopper"})
    assert "no real one is taken" in wrong.text
    left = await shop.http.post(path, data={"answer": "later"})
    assert left.headers["location"] == "http://127.0.0.1:1/onboarded"
    assert not (await shop.v1.accounts.retrieve_async(account["id"]))["details_submitted"]
    assert (await shop.http.get(path)).headers["location"] == "http://127.0.0.1:1/again"

    link = await shop.v1.account_links.create_async(params)
    await shop.control("clock", advance_seconds=301)
    late = await shop.http.post(urlsplit(link["url"]).path, data={})
    assert late.headers["location"] == "http://127.0.0.1:1/again"
    assert (await shop.http.get("/setup/link_unknown")).status_code == 404


async def test_onboarded_accounts_are_told_of_and_listed(shop: Platform) -> None:
    creator = await shop.creator()
    account = await shop.v1.accounts.retrieve_async(creator)
    assert account["capabilities"]["transfers"] == "active"
    assert (account["payouts_enabled"], account["requirements"]["currently_due"]) == (True, [])
    assert account["external_accounts"]["data"][0]["last4"] == "6789"
    await until(lambda: "account.updated" in shop.connect_box.types())
    signature, body = shop.connect_box.came[0]
    event = shop.client.construct_event(body, signature, CONNECT_SECRET)
    assert event["account"] == creator
    assert shop.platform_box.came == []

    await shop.v1.accounts.update_async(creator, {"metadata": {"left": "no"}})
    listed = await shop.v1.accounts.list_async()
    assert [each["id"] for each in listed["data"]] == [creator]
    own = await shop.v1.accounts.retrieve_current_async()
    assert own["id"] == shop.world.platform
    capability = await shop.v1.accounts.capabilities.retrieve_async(creator, "transfers")
    assert capability["status"] == "active"
    assert len((await shop.v1.accounts.capabilities.list_async(creator))["data"]) == 1
    link = await shop.v1.accounts.login_links.create_async(creator)
    assert "TEST MONEY" in (await shop.http.get(urlsplit(link["url"]).path)).text
    theirs = {"stripe_account": creator}
    assert (await shop.v1.accounts.retrieve_current_async({}, theirs))["id"] == creator


async def test_transfers_move_money_once_and_back(shop: Platform) -> None:
    creator = await shop.creator()
    params = {
        "amount": 500,
        "currency": "usd",
        "destination": creator,
        "transfer_group": "sweep-1",
        "metadata": {"intent": "1"},
        "expand": ["balance_transaction"],
    }
    with pytest.raises(stripe.InvalidRequestError) as short:
        await shop.v1.transfers.create_async(params)
    assert short.value.code == "balance_insufficient"
    await funded(shop)
    transfer = await shop.v1.transfers.create_async(params)
    assert transfer["balance_transaction"]["net"] == -500
    theirs = {"stripe_account": creator}
    balance = await shop.v1.balance.retrieve_async({}, theirs)
    assert balance["available"][0]["amount"] == 500
    payment = await shop.v1.charges.retrieve_async(transfer["destination_payment"], {}, theirs)
    assert payment["source_transfer"] == transfer["id"]

    found = await shop.v1.transfers.list_async({"transfer_group": "sweep-1"})
    assert [each["id"] for each in found["data"]] == [transfer["id"]]
    reversal = await shop.v1.transfers.reversals.create_async(transfer["id"], {"amount": 200})
    await shop.v1.transfers.reversals.retrieve_async(transfer["id"], reversal["id"])
    with pytest.raises(stripe.InvalidRequestError, match="greater than unreversed"):
        await shop.v1.transfers.reversals.create_async(transfer["id"], {"amount": 301})
    expand = {"expand": ["data.balance_transaction"]}
    [listed] = (await shop.v1.transfers.reversals.list_async(transfer["id"], expand))["data"]
    assert listed["balance_transaction"]["net"] == 200
    await shop.v1.transfers.update_async(transfer["id"], {"metadata": {"seen": "1"}})
    transfer = await shop.v1.transfers.retrieve_async(transfer["id"])
    assert (transfer["amount_reversed"], transfer["reversed"]) == (200, False)
    balance = await shop.v1.balance.retrieve_async({}, theirs)
    assert balance["available"][0]["amount"] == 300


async def test_who_may_not_be_transferred_to_is_not(shop: Platform) -> None:
    await funded(shop)
    creator = await shop.creator()
    params = {"amount": 100, "currency": "usd", "destination": creator}
    await shop.control("accounts/restrict", account=creator)
    with pytest.raises(stripe.InvalidRequestError) as restricted:
        await shop.v1.transfers.create_async(params)
    assert restricted.value.code == "insufficient_capabilities_for_transfer"
    account = await shop.v1.accounts.retrieve_async(creator)
    assert account["requirements"]["disabled_reason"] == "requirements.past_due"
    await shop.control("accounts/enable", id=creator)
    await shop.v1.transfers.create_async(params)
    with pytest.raises(stripe.InvalidRequestError, match="balance other than zero"):
        await shop.v1.accounts.delete_async(creator)

    other = await shop.creator()
    assert (await shop.v1.accounts.delete_async(other))["deleted"]
    with pytest.raises(stripe.InvalidRequestError, match="No such destination"):
        await shop.v1.transfers.create_async(params | {"destination": other})
    with pytest.raises(stripe.PermissionError):
        await shop.v1.accounts.retrieve_async(other)
    link = {"account": creator, "type": "account_onboarding", "refresh_url": "r", "return_url": "r"}
    page = urlsplit((await shop.v1.account_links.create_async(link))["url"]).path
    assert (await shop.http.get(page)).status_code == 200
    with pytest.raises(stripe.PermissionError):
        await shop.v1.balance.retrieve_async({}, {"stripe_account": other})


async def test_payouts_reach_the_bank_by_themselves(shop: Platform) -> None:
    await funded(shop)
    creator = await shop.creator()
    theirs = {"stripe_account": creator}
    await shop.v1.transfers.create_async({"amount": 600, "currency": "usd", "destination": creator})
    await shop.control("clock", advance_seconds=DAY)
    [payout] = (await shop.v1.payouts.list_async({}, theirs))["data"]
    assert (payout["amount"], payout["status"], payout["automatic"]) == (600, "pending", True)
    await shop.control("clock", advance_seconds=DAY)
    payout = await shop.v1.payouts.retrieve_async(payout["id"], {}, theirs)
    assert payout["status"] == "in_transit"
    await shop.control("clock", advance_seconds=DAY)
    payout = await shop.v1.payouts.retrieve_async(payout["id"], {}, theirs)
    assert payout["status"] == "paid"

    failed = await shop.control("payouts/fail", id=payout["id"])
    assert failed["status"] == "failed"
    balance = await shop.v1.balance.retrieve_async({}, theirs)
    assert balance["available"][0]["amount"] == 600
    assert not (await shop.v1.accounts.retrieve_async(creator))["payouts_enabled"]
    await until(lambda: "payout.failed" in shop.connect_box.types())
    told = [name for name in shop.connect_box.types() if name.startswith("payout")]
    assert told == ["payout.created", "payout.updated", "payout.paid", "payout.failed"]
    await shop.answer(creator, "000123456789")
    await shop.control("clock", advance_seconds=4 * DAY)
    again = (await shop.v1.payouts.list_async({}, theirs))["data"][0]
    assert (again["amount"], again["status"]) == (600, "paid"), "a new bank gets what came back"


async def test_payouts_by_request_fail_at_a_bank_that_refuses(shop: Platform) -> None:
    await funded(shop)
    creator = await shop.creator(bank="000111111116")
    theirs = {"stripe_account": creator}
    await shop.v1.accounts.update_async(
        creator, {"settings": {"payouts": {"schedule": {"interval": "manual"}}}}
    )
    await shop.v1.transfers.create_async({"amount": 500, "currency": "usd", "destination": creator})
    payout = await shop.v1.payouts.create_async({"amount": 400, "currency": "usd"}, theirs)
    await shop.v1.payouts.update_async(payout["id"], {"metadata": {"seen": "1"}}, theirs)
    canceled = await shop.v1.payouts.create_async({"amount": 50, "currency": "usd"}, theirs)
    canceled = await shop.v1.payouts.cancel_async(canceled["id"], {}, theirs)
    assert canceled["status"] == "canceled"
    await shop.control("clock", advance_seconds=3 * DAY)
    payout = await shop.v1.payouts.retrieve_async(payout["id"], {}, theirs)
    assert (payout["status"], payout["failure_code"]) == ("failed", "no_account")
    balance = await shop.v1.balance.retrieve_async({}, theirs)
    assert balance["available"][0]["amount"] == 500
    with pytest.raises(stripe.InvalidRequestError):
        await shop.v1.payouts.create_async({"amount": 100, "currency": "usd"}, theirs)
    own = await shop.v1.payouts.create_async({"amount": 100, "currency": "usd"})
    assert (await shop.control("payouts/pay", id=own["id"]))["status"] == "paid"


async def test_the_balance_is_the_sum_of_its_transactions(shop: Platform) -> None:
    charge = (await shop.paid())["payment_intent"]["latest_charge"]["id"]
    await funded(shop)
    creator = await shop.creator()
    await shop.v1.transfers.create_async({"amount": 300, "currency": "usd", "destination": creator})
    await shop.v1.refunds.create_async({"charge": charge, "amount": 99})
    await shop.control("balance/adjust", amount=-7, currency="usd", type="stripe_fee")
    await shop.control("clock", advance_seconds=3 * DAY)
    moved = [
        each
        async for each in (
            await shop.v1.balance_transactions.list_async({"limit": 2})
        ).auto_paging_iter()
    ]
    assert [each["type"] for each in moved] == [
        "stripe_fee",
        "refund",
        "transfer",
        "charge",
        "charge",
    ]
    assert {each["status"] for each in moved} == {"available"}
    balance = await shop.v1.balance.retrieve_async()
    assert balance["pending"][0]["amount"] == 0
    assert balance["available"][0]["amount"] == sum(each["net"] for each in moved)
    [of_charge] = (await shop.v1.balance_transactions.list_async({"source": charge}))["data"]
    assert await shop.v1.balance_transactions.retrieve_async(of_charge["id"]) == of_charge
