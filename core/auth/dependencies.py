"""FastAPI dependencies: who calls, and with what rights."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.browser import COOKIE, SAFE_METHODS, clear_cookie, refuse_cross_site
from core.auth.credentials import Credential, CredentialUnknown, Source, authenticate
from core.auth.platforms import stranger_platform
from core.auth.principal import Kind, Principal
from core.errors import Forbidden, Unauthenticated
from core.http import ServicesDep, SessionDep


class ScopeMissing(Forbidden):
    code = "scope_missing"
    title = "This needs an API key with another scope"


class AccountNeeded(Forbidden):
    code = "account_needed"
    title = "Only a signed-in person can do this"


def presented(request: Request) -> Credential | None:
    """The Authorization header if there is one, else the cookie.

    Raises CredentialUnknown for a header that is not `Bearer <something>`.
    """
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, secret = header.partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise CredentialUnknown
        return Credential(Source.HEADER, secret.strip())
    if cookie := request.cookies.get(COOKIE):
        return Credential(Source.COOKIE, cookie)
    return None


BEARER = HTTPBearer(
    scheme_name="bearer",
    description="A session token (`es_`), an API key (`ek_`) or a room token",
    auto_error=False,
)
"""Only for the OpenAPI document: it refuses nothing, `caller` reads the header itself."""

Documented = Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]


async def caller(
    request: Request, services: ServicesDep, session: SessionDep, _: Documented = None
) -> Principal:
    """A stranger when nothing is presented; 401 when what is presented is not valid."""
    credential = presented(request)
    if credential is None:
        return await stranger(session)
    if credential.source is Source.HEADER:
        return await authenticate(session, credential, secret=services.secret)
    if request.method not in SAFE_METHODS:
        refuse_cross_site(request, services.settings)
    try:
        return await authenticate(session, credential, secret=services.secret)
    except Unauthenticated as problem:
        # A dead cookie would refuse every later page too.
        problem.headers["Set-Cookie"] = clear_cookie(services.settings)
        raise


async def visitor(request: Request, services: ServicesDep, session: SessionDep) -> Principal:
    """For pages: as `caller`, but somebody whose cookie has died is a stranger."""
    try:
        return await caller(request, services, session)
    except Unauthenticated:
        return await stranger(session)


CallerDep = Annotated[Principal, Depends(caller)]
VisitorDep = Annotated[Principal, Depends(visitor)]


async def stranger(session: AsyncSession) -> Principal:
    return Principal(platform_id=await stranger_platform(session))


def require_scope(principal: Principal, scope: str) -> UUID:
    """The platform of an API key that has `scope`: the gate of endpoints for servers only.

    Raises Unauthenticated for strangers, ScopeMissing for people and for keys without it.
    """
    if principal.kind is Kind.STRANGER:
        raise Unauthenticated("send an API key as Authorization: Bearer ek_...")
    if scope not in key_scopes(principal) or principal.platform_id is None:
        raise ScopeMissing(f"this needs an API key with the scope {scope}", scope=scope)
    return principal.platform_id


def limit_to_scope(principal: Principal, scope: str) -> None:
    """For endpoints that people use too: a key needs `scope`, people are judged by access rules."""
    if principal.kind is Kind.API_KEY:
        require_scope(principal, scope)


def key_scopes(principal: Principal) -> frozenset[str]:
    return principal.scopes if principal.kind is Kind.API_KEY else frozenset()


def require_user(principal: Principal) -> UUID:
    """The user id of somebody signed in with an account.

    Raises Unauthenticated for strangers, AccountNeeded for API keys and room tokens.
    """
    if principal.kind is Kind.STRANGER:
        raise Unauthenticated
    if principal.kind is not Kind.USER or principal.user_id is None:
        raise AccountNeeded
    return principal.user_id
