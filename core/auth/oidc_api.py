"""HTTP: signing in at an OpenID provider, by redirects of the browser."""

from http.cookies import SimpleCookie
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from core.auth.accounts import SignInFailed
from core.auth.browser import COOKIE, session_cookie
from core.auth.documented import problems
from core.auth.limits import OIDC
from core.auth.oidc import (
    FLOW_SECONDS,
    FlowInvalid,
    IdTokenInvalid,
    ProviderRefused,
    Providers,
    ProviderUnavailable,
    ProviderUnknown,
    callback_url,
    new_flow,
    open_flow,
    provider_named,
    seal_flow,
)
from core.auth.oidc_accounts import sign_in_with
from core.auth.platforms import site_platform
from core.errors import TooManyRequests
from core.http import ServicesDep
from core.ratelimit import rate_limit
from core.settings import Settings

router = APIRouter(tags=["sessions"])
FLOW_COOKIE = "encore_oidc"
LIMITED = [Depends(rate_limit(OIDC))]

_providers = Providers()


class ProviderOut(BaseModel):
    name: str = Field(examples=["example"])
    title: str = Field(examples=["Example"])
    login_url: str = Field(examples=["/v1/oidc/example/login"])
    callback_url: str = Field(examples=["https://encore.example/v1/oidc/example/callback"])


class ProvidersOut(BaseModel):
    items: list[ProviderOut]


@router.get("/oidc", summary="Where one may sign in besides here")
async def providers(services: ServicesDep) -> ProvidersOut:
    return ProvidersOut(items=shown_providers(services.settings))


def shown_providers(settings: Settings) -> list[ProviderOut]:
    """For the sign-in page's buttons."""
    return [
        ProviderOut(
            name=provider.name,
            title=provider.title or provider.name.capitalize(),
            login_url=f"/v1/oidc/{provider.name}/login",
            callback_url=callback_url(settings, provider),
        )
        for provider in settings.oidc
    ]


@router.get(
    "/oidc/{provider}/login",
    status_code=302,
    response_class=RedirectResponse,
    summary="Go to the provider",
    dependencies=LIMITED,
    responses=problems(ProviderUnknown, ProviderUnavailable, TooManyRequests),
)
async def login(
    provider: str,
    services: ServicesDep,
    goal: Annotated[
        str, Query(alias="next", max_length=2000, description="a path of this site")
    ] = "/",
) -> RedirectResponse:
    chosen = provider_named(services.settings, provider)
    flow = new_flow(chosen, local_path(goal))
    url = await _providers.login_url(services.settings, chosen, flow)
    answer = RedirectResponse(url, 302, headers={"Cache-Control": "no-store"})
    sealed = seal_flow(services.secret, flow)
    answer.headers.append("Set-Cookie", _flow_cookie(sealed, FLOW_SECONDS, services.settings))
    return answer


@router.get(
    "/oidc/{provider}/callback",
    status_code=303,
    response_class=RedirectResponse,
    summary="Come back from the provider",
    dependencies=LIMITED,
    responses=problems(
        FlowInvalid,
        ProviderRefused,
        IdTokenInvalid,
        SignInFailed,
        ProviderUnknown,
        ProviderUnavailable,
        TooManyRequests,
    ),
)
async def callback(
    provider: str,
    request: Request,
    services: ServicesDep,
    state: Annotated[str, Query(max_length=200, description="what we sent the browser with")] = "",
    code: Annotated[str, Query(max_length=4000)] = "",
    iss: Annotated[str | None, Query(max_length=2000, description="RFC 9207")] = None,
) -> RedirectResponse:
    """The provider is asked outside of a transaction; only then is anything written."""
    chosen = provider_named(services.settings, provider)
    sealed = request.cookies.get(FLOW_COOKIE, "")
    flow = open_flow(services.secret, sealed, provider=chosen, state=state)
    if iss is not None and iss != chosen.issuer:
        raise FlowInvalid
    if not code:
        raise ProviderRefused
    identity = await _providers.identity(services.settings, chosen, flow, code=code)
    async with services.database.transaction() as session:
        signed_in = await sign_in_with(
            session,
            platform_id=await site_platform(session),
            identity=identity,
            replaces=request.cookies.get(COOKIE),
        )
    answer = RedirectResponse(flow.goal, 303, headers={"Cache-Control": "no-store"})
    answer.headers.append("Set-Cookie", session_cookie(signed_in.token, services.settings))
    answer.headers.append("Set-Cookie", _flow_cookie("", 0, services.settings))
    return answer


def local_path(goal: str) -> str:
    """`goal` if it stays on this site, else `/` (no open redirect).

    Browsers read `\\` as `/` and drop tabs and line breaks, so those count as foreign.
    """
    inside = goal.startswith("/") and not goal.startswith(("//", "/\\"))
    return goal if inside and goal.isprintable() and "\\" not in goal else "/"


def _flow_cookie(value: str, max_age: int, settings: Settings) -> str:
    """Lax, since the provider's redirect back is a navigation from another site."""
    jar: SimpleCookie = SimpleCookie({FLOW_COOKIE: value})
    morsel = jar[FLOW_COOKIE]
    morsel["path"] = "/v1/oidc"
    morsel["max-age"] = str(max_age)
    morsel["httponly"] = True
    morsel["samesite"] = "Lax"
    morsel["secure"] = settings.public_web_url.startswith("https://")
    return morsel.OutputString()
