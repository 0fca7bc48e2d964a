"""What is recorded of the sandbox is judged: by the library's types, whatever else is there."""

import json
from pathlib import Path
from typing import Any

from tests.payouts.judging import judge

TRANSFER = {
    "id": "tr_1Abcdefghijklmnop",
    "object": "transfer",
    "amount": 100,
    "amount_reversed": 0,
    "balance_transaction": "txn_1Abcdefghijklmnop",
    "created": 1_790_000_000,
    "currency": "usd",
    "description": None,
    "destination": "acct_1Abcdefghijklmnop",
    "destination_payment": "py_1Abcdefghijklmnop",
    "livemode": False,
    "metadata": {},
    "reversals": {"object": "list", "data": [], "has_more": False, "url": "/v1/transfers/x"},
    "reversed": False,
    "source_transaction": None,
    "source_type": "card",
    "transfer_group": None,
}


def line(body: str, answer: dict[str, Any], *, status: int = 200, key: bool = True) -> str:
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "authorization": "Bearer masked",
        **({"idempotency-key": "k"} if key else {}),
    }
    asked = {"method": "POST", "path": "/v1/transfers", "headers": headers, "body": body}
    return json.dumps(asked | {"status": status, "response": answer}) + "\n"


def test_what_stripe_would_refuse_fails_the_run(tmp_path: Path) -> None:
    good = "amount=100&currency=usd&destination=acct_1"
    (tmp_path / "1.jsonl").write_text(line(good, TRANSFER) * 2 + line(good, TRANSFER)[:40])
    verdict = judge(tmp_path)
    assert (verdict.requests, verdict.different, verdict.problems) == (2, 1, ())

    wrong = {name: value for name, value in TRANSFER.items() if name != "amount_reversed"}
    (tmp_path / "2.jsonl").write_text(
        line(good + "&ammount=1", TRANSFER)
        + line(good.replace("100", "1.5"), TRANSFER)
        + line(good, TRANSFER, key=False)
        + line(good, wrong)
        + line(good, TRANSFER | {"amount": "100"})
        + line("why=asked+on+purpose", {"error": {"type": "invalid_request_error"}}, status=400)
    )
    said = "\n".join(judge(tmp_path).problems)
    for expected in (
        "ammount: unknown",
        "'1.5' is no int",
        "without Idempotency-Key",
        "transfer.amount_reversed: missing",
        "transfer.amount: '100' is no",
    ):
        assert expected in said
    assert "why" not in said
