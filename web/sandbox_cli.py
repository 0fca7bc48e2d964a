"""`encore sandbox`: moves the clock of the Stripe stand-in and makes things go wrong in it."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import httpx
import typer
from rich.console import Console

from core.errors import Problem, Unavailable
from core.settings import Settings
from payouts.amounts import decimal
from web.sandbox import wants_sandbox, with_sandbox

sandbox = typer.Typer(no_args_is_help=True, help="The Stripe stand-in: its clock and its faults.")
console = Console(highlight=False, soft_wrap=True)

SPAN = re.compile(r"(\d+)([smhd])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
TIMEOUT_SECONDS = 60.0

Count = Annotated[int, typer.Option(min=1, help="How many of them.")]
Skip = Annotated[int, typer.Option(min=0, help="How many go well before.")]


class SandboxAway(Unavailable):
    code = "sandbox_away"
    title = "The sandbox does not answer: `encore up` runs it while no ENCORE_STRIPE_KEY is set"


class SandboxRefused(Problem):
    status = 422
    code = "sandbox_refused"
    title = "The sandbox refused this"


@sandbox.command("status")
def status() -> None:
    """Its time, its platform account, webhooks by state, and the faults that wait."""
    told = _ask("GET", "state")
    console.print_json(data={"time": _moment(told["now"]), **told})


@sandbox.command("clock")
def clock(
    span: Annotated[str, typer.Argument(help="How far ahead: 90s, 30m, 36h, 14d.")],
) -> None:
    """Move its clock on; payouts, expiries and late failures happen on the way."""
    matched = SPAN.fullmatch(span)
    if matched is None:
        raise typer.BadParameter(f"{span} is not of the form 90s, 30m, 36h or 14d")
    told = _ask("POST", "clock", advance_seconds=int(matched[1]) * SECONDS[matched[2]])
    _take_money_along()
    console.print(f"It is {_moment(told['now'])} there now.")


def _take_money_along() -> None:
    """Pages and statements count by the new time at once, where their database runs."""
    from core.postgres import EmbeddedPostgres  # with Stripe's library: not for the other commands
    from web.till import at_the_till

    settings = Settings()
    embedded = EmbeddedPostgres(settings.data_dir / "postgres")
    if settings.database_url is not None or embedded.running_port() is not None:
        at_the_till(_look_at_the_clock)


async def _look_at_the_clock(_cashier: object) -> None:
    """Opening the till has done so."""


@sandbox.command("list")
def latest(
    kind: Annotated[
        Literal["accounts", "charges", "disputes", "events", "payouts", "refunds", "transfers"],
        typer.Argument(help="Of what: their IDs are what dispute, fail, account, resend take."),
    ],
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many of the newest.")] = 10,
) -> None:
    """List what has happened there, the newest first, with its IDs."""
    for each in _ask("POST", "latest", kind=kind.removesuffix("s"), limit=limit)["data"]:
        console.print("  ".join(_told(each)), markup=False)


def _told(each: dict[str, Any]) -> list[str]:
    """ID, time, amount, and how it is or what it was."""
    said = [each["id"], _moment(each["created"])]
    if "amount" in each:
        said.append(f"{decimal(each['amount'], (of := each['currency'].upper()))} {of}")
    if each["object"] == "account":
        said.append(f"payouts {'on' if each['payouts_enabled'] else 'off'}")
    if each["object"] == "event":
        said.append(each["type"])
    return [*said, each["status"]] if each.get("status") else said


def _moment(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


@sandbox.command("webhooks")
def webhooks(
    action: Annotated[
        Literal["drop", "repeat", "delay", "hold", "tamper", "release"],
        typer.Argument(help="What becomes of the next ones; release: send what was held."),
    ],
    type_: Annotated[str, typer.Option("--type", help="Of which events: charge.*")] = "*",
    count: Count = 1,
    skip: Skip = 0,
    times: Annotated[int, typer.Option(help="repeat: how many times at once.")] = 5,
    seconds: Annotated[float, typer.Option(help="delay: how long.")] = 1.0,
    tampering: Annotated[
        Literal["signature", "body", "stale", "future"], typer.Option(help="tamper: with what.")
    ] = "signature",
    newest_first: Annotated[bool, typer.Option(help="release: in the order of the last.")] = False,
) -> None:
    """Lose, repeat, delay, reorder or falsify events on their way."""
    if action == "release":
        order = "newest_first" if newest_first else "oldest_first"
        told = _ask("POST", "webhooks/release", order=order)
        console.print(f"{told['released']} released.")
        return
    rule = {"type": type_, "action": action, "count": count, "skip": skip}
    more = {"times": times, "seconds": seconds, "tampering": tampering}
    _ask("POST", "faults/webhooks", **rule, **more)
    _set()


@sandbox.command("requests")
def requests(
    action: Annotated[
        Literal["error", "timeout", "disconnect", "die", "slow"],
        typer.Argument(help="What becomes of the next ones."),
    ],
    path: Annotated[str, typer.Option(help="/v1/transfers, or /v1/* for any.")] = "/v1/*",
    method: Annotated[str, typer.Option(help="POST, GET, DELETE, or * for any.")] = "POST",
    when: Annotated[
        Literal["before", "after"], typer.Option(help="What was asked for is done by then.")
    ] = "before",
    error: Annotated[int, typer.Option(help="error: its status, 429 or 500.")] = 500,
    seconds: Annotated[float, typer.Option(help="slow: how long it waits first.")] = 1.0,
    count: Count = 1,
    skip: Skip = 0,
) -> None:
    """Make requests fail, hang, or kill the process."""
    rule = {"method": method, "path": path, "action": action, "when": when}
    more = {"status": error, "seconds": seconds, "count": count, "skip": skip}
    _ask("POST", "faults/requests", **rule, **more)
    _set()


@sandbox.command("clear")
def clear() -> None:
    """No more faults; what was held is sent."""
    console.print(f"Faults are gone, {_ask('POST', 'faults/clear')['released']} webhooks released.")


@sandbox.command("dispute")
def dispute(
    subject: Annotated[str, typer.Argument(metavar="ID", help="ch_...: open; du_...: settle.")],
    amount: Annotated[int | None, typer.Option(min=1, help="open: minor units; else all.")] = None,
    won: Annotated[bool, typer.Option("--won/--lost", help="settle: for whom.")] = False,
) -> None:
    """Open a dispute over a charge, or settle one."""
    if subject.startswith("ch_"):
        told = _ask("POST", "disputes", charge=subject, amount=amount)
    else:
        told = _ask("POST", "disputes/settle", dispute=subject, won=won)
    console.print(f"{told['id']} {told['status']}")


@sandbox.command("fail")
def fail(
    subject: Annotated[str, typer.Argument(metavar="ID", help="re_... or po_...")],
) -> None:
    """Have a refund or a payout fail, also one that has been paid."""
    kind = "payouts" if subject.startswith("po_") else "refunds"
    told = _ask("POST", f"{kind}/fail", id=subject)
    console.print(f"{told['id']} {told['status']}")


@sandbox.command("account")
def account(
    action: Annotated[Literal["restrict", "enable"], typer.Argument(help="What becomes of it.")],
    subject: Annotated[str, typer.Argument(metavar="ID", help="acct_...")],
) -> None:
    """Take a connected account's capabilities away, or give it all of them."""
    asked = {"account": subject} if action == "restrict" else {"id": subject}
    told = _ask("POST", f"accounts/{action}", **asked)
    console.print(f"{told['id']} payouts {'on' if told['payouts_enabled'] else 'off'}")


@sandbox.command("resend")
def resend(
    event: Annotated[str, typer.Argument(metavar="ID", help="evt_...")],
    as_new: Annotated[bool, typer.Option(help="Under another id, as a second event.")] = False,
) -> None:
    """Send an event again."""
    console.print(_ask("POST", "events/resend", event=event, as_new=as_new)["id"])


def _set() -> None:
    console.print("It is set; `encore sandbox clear` takes it back.")


def _ask(verb: str, where: str, /, **asked: Any) -> dict[str, Any]:
    """Raises SandboxAway, SandboxRefused."""
    settings = Settings()
    if not wants_sandbox(settings):
        raise SandboxAway
    settings = with_sandbox(settings)
    key = settings.stripe_key.get_secret_value() if settings.stripe_key else ""
    try:
        answer = httpx.request(
            verb,
            f"{settings.stripe_base}/_control/{where}",
            json=asked or None,
            headers={"Authorization": f"Bearer {key}"},
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
        )
        told: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise SandboxAway from error
    if answer.is_error:
        raise SandboxRefused(told["error"]["message"])
    return told
