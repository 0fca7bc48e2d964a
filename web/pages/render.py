"""Templates to responses, with the headers that keep a page's scripts and frames its own."""

import calendar
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse

import core
from core.auth.principal import STRANGER, Principal
from core.http import services
from core.settings import Settings
from payouts.amounts import decimal
from rooms.models import Role
from web.pages.languages import language_name
from web.pages.tones import tone

_TEMPLATES = Path(__file__).parent.parent / "templates"
_ROLE_NAMES = {
    Role.HOST: "host",
    Role.COHOST: "co-host",
    Role.SPEAKER: "speaker",
    Role.LISTENER: "listener",
}
_CURRENCY_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}


def initials(name: str) -> str:
    """One or two letters for a drawn face; `?` for a name without any."""
    words = [word for word in name.split() if word[0].isalnum()]
    ends = words if len(words) < 2 else [words[0], words[-1]]
    return "".join(word[0] for word in ends).upper() or "?"


def clock(milliseconds: int | None) -> str:
    """`1:02:03` or `2:03`."""
    minutes, seconds = divmod(int(milliseconds or 0) // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def how_long(milliseconds: int | None) -> str:
    """`57 s`, `42 min` or `1 h 5 min`: how long something takes, not a place in it."""
    seconds = round(int(milliseconds or 0) / 1000)
    if seconds < 60:
        return f"{seconds} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return " ".join(f"{n} {unit}" for n, unit in ((hours, "h"), (minutes, "min")) if n)


def figure(text: str) -> str:
    """`-1234.56`, as machines read it, as `−1,234.56`."""
    whole, dot, rest = text.removeprefix("-").partition(".")
    return f"{'−' if text.startswith('-') else ''}{int(whole):,}{dot}{rest}"


def counted(number: int, thing: str) -> str:
    """`1 tip`, `1,200 tips`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def money(minor: int, currency: str) -> str:
    """`$1,234.56`, or `1,234.56 CHF` where the sign of the currency is not known to everybody."""
    sign = "−" if minor < 0 else ""
    digits = figure(decimal(abs(minor), currency))
    if currency in _CURRENCY_SIGNS:
        return f"{sign}{_CURRENCY_SIGNS[currency]}{digits}"
    return f"{sign}{digits} {currency}"


def month(text: str) -> str:
    """`2026-11` as `November 2026`."""
    year, number = text.split("-")
    return f"{calendar.month_name[int(number)]} {year}"


def card(text: str) -> str:
    """`visa 4242` as `Visa ending in 4242`; what has no number as it is."""
    brand, _, last = text.rpartition(" ")
    return f"{brand.title()} ending in {last}" if brand and last.isdigit() else text


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "initials": initials,
        "tone": tone,
        "clock": clock,
        "how_long": how_long,
        "language_name": language_name,
        "money": money,
        "figure": figure,
        "counted": counted,
        "month": month,
        "card": card,
        "count": lambda number: f"{number:,}",
        "role_name": lambda role: _ROLE_NAMES[Role(role)],
    }
    environment.globals["version"] = core.VERSION
    return environment


_environment_once = _environment()


def policy(settings: Settings) -> str:
    """The Content-Security-Policy: our own scripts; sound from the edge, WHIP to the receivers."""
    edge = _origin(settings.public_edge_url)
    ingest = " ".join(settings.ingest_origins or (_origin(settings.public_ingest_url),))
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            f"connect-src 'self' {edge} {ingest}",
            f"media-src 'self' blob: {edge}",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def page(
    request: Request,
    template: str,
    *,
    me: Principal = STRANGER,
    status: int = 200,
    **context: Any,
) -> HTMLResponse:
    """Renders for one person: never stored by a cache between us."""
    html = _environment_once.get_template(template).render(me=me, status=status, **context)
    headers = {
        "Content-Security-Policy": policy(services(request).settings),
        "Cache-Control": "no-store",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    }
    return HTMLResponse(html, status, headers=headers)
