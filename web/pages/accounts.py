"""Signing in and up, and where the links of our mails lead."""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from core.auth.dependencies import VisitorDep
from core.auth.letters import RESET_PATH, VERIFY_PATH
from core.auth.oidc_api import local_path, shown_providers
from core.auth.passwords import MIN_LENGTH
from core.http import ServicesDep
from web.pages.render import page
from web.pages.route import PageRoute

router = APIRouter(route_class=PageRoute)


@router.get("/sign-in")
async def sign_in(
    request: Request, services: ServicesDep, me: VisitorDep, next: str = "/"
) -> Response:
    goal = local_path(next)
    if me.user_id:
        return RedirectResponse(goal, 303)
    others = shown_providers(services.settings)
    return page(request, "accounts/sign_in.html", me=me, next=goal, providers=others)


@router.get("/sign-up")
async def sign_up(request: Request, me: VisitorDep, next: str = "/") -> Response:
    goal = local_path(next)
    if me.user_id:
        return RedirectResponse(goal, 303)
    return page(request, "accounts/sign_up.html", me=me, next=goal, password_length=MIN_LENGTH)


@router.get(VERIFY_PATH)
async def verify(request: Request, me: VisitorDep, token: str = "") -> Response:
    return page(request, "accounts/verify.html", me=me, token=token)


@router.get(RESET_PATH)
async def password_reset(request: Request, me: VisitorDep, token: str = "") -> Response:
    return page(request, "accounts/reset.html", me=me, token=token, password_length=MIN_LENGTH)
