"""What protects a browser's session: the cookie's attributes, and the refusal of other sites.

A cookie travels with requests that another site makes (CSRF), an Authorization header does not;
so only cookie callers are held to the same origin, by Fetch Metadata where the browser sends it
and by Origin elsewhere. SameSite=Lax stands in front of both.
"""

from http.cookies import SimpleCookie
from urllib.parse import urlsplit

from fastapi import Request

from core.auth.credentials import SESSION_LIFETIME
from core.errors import Forbidden
from core.settings import Settings

COOKIE = "encore_session"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class CrossSite(Forbidden):
    code = "csrf"
    title = "A request with a session cookie must come from this site's own pages"


def refuse_cross_site(request: Request, settings: Settings) -> None:
    """For requests that carry the cookie: proof of the same origin is required (403 `csrf`)."""
    if _same_origin(request, settings) is not True:
        raise CrossSite


def refuse_foreign_page(request: Request, settings: Settings) -> None:
    """For requests that set the cookie: no browser of another site (login CSRF); others pass."""
    if _same_origin(request, settings) is False:
        raise CrossSite


def _same_origin(request: Request, settings: Settings) -> bool | None:
    """None when the client says nothing, as programs do."""
    if (site := request.headers.get("sec-fetch-site")) is not None:
        return site == "same-origin"
    if (origin := request.headers.get("origin")) is not None:
        return _origin_of(settings.public_web_url) == origin or _names_host(origin, request)
    return None


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _names_host(origin: str, request: Request) -> bool:
    """A proxy may end TLS, so the scheme is not compared; `Origin: null` names no host."""
    host = request.headers.get("host", "")
    try:
        return bool(host) and urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False


def session_cookie(token: str, settings: Settings) -> str:
    """The Set-Cookie value: host-only, invisible to scripts, https only where we are served so."""
    return _set_cookie(token, int(SESSION_LIFETIME.total_seconds()), settings)


def clear_cookie(settings: Settings) -> str:
    return _set_cookie("", 0, settings)


def _set_cookie(value: str, max_age: int, settings: Settings) -> str:
    jar: SimpleCookie = SimpleCookie({COOKIE: value})
    morsel = jar[COOKIE]
    morsel["path"] = "/"
    morsel["max-age"] = str(max_age)
    morsel["httponly"] = True
    morsel["samesite"] = "Lax"
    if settings.public_web_url.startswith("https://"):
        morsel["secure"] = True
    return morsel.OutputString()
