"""FastAPI dependencies: who calls, and with what rights."""

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.browser import COOKIE, SAFE_METHODS, clear_cookie, refuse_cross_site
from core.auth.credentials import Credential, CredentialUnknown, Source, authenticate
from core.auth.platforms import stranger_platform
from core.auth.principal import Principal
from core.errors import Unauthenticated
from core.http import ServicesDep, SessionDep


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
