"""What the hosted pages share: templates, amounts, headers, forms."""

from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from payouts.sandbox.resources.balance import EXPONENTS
from payouts.sandbox.world import Call, World

SEE_OTHER = 303
HERE = Path(__file__).parent
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'; "
    "base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

environment = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=select_autoescape(),
    trim_blocks=True,
    lstrip_blocks=True,
)


def amount(minor: int, currency: str) -> str:
    """`699, "usd"` to `6.99 USD`."""
    exponent = EXPONENTS.get(currency, 2)
    return f"{Decimal(minor).scaleb(-exponent):.{exponent}f} {currency.upper()}"


environment.filters["amount"] = amount


def page(template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    text = environment.get_template(template).render(values)
    return HTMLResponse(text, status, headers=HEADERS)


def call_of(request: Request) -> Call:
    """A step in the platform's name, as a page makes it for the person in front of it."""
    world: World = request.app.state.world
    return world.call()


async def form_of(request: Request) -> dict[str, str]:
    """The fields of an HTML form, without spaces around them."""
    pairs = parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
    return {name: value.strip() for name, value in pairs}
