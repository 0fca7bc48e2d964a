"""HTTP: accounts, sessions, and who the caller is."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth import accounts, keys_api, oidc_api
from core.auth.accounts import EmailInvalid, MailTokenInvalid, PasswordWrong, SignInFailed
from core.auth.browser import (
    COOKIE,
    CrossSite,
    clear_cookie,
    refuse_foreign_page,
    session_cookie,
)
from core.auth.credentials import SessionExpired, SessionInvalid
from core.auth.dependencies import CallerDep, presented
from core.auth.display import NameInvalid
from core.auth.documented import problems
from core.auth.letters import Letters, LettersDep
from core.auth.limits import (
    MAIL_TOKEN,
    PASSWORD_CHANGE,
    REGISTER,
    REGISTER_ADDRESS,
    RESET,
    RESET_ACCOUNT,
    SIGN_IN,
    SIGN_IN_ACCOUNT,
    SIGN_IN_ACCOUNT_HERE,
)
from core.auth.models import User
from core.auth.passwords import MIN_LENGTH, PasswordUnfit
from core.auth.platforms import site_platform
from core.auth.principal import Kind, Principal
from core.auth.rights import AccountNeeded, require_user
from core.auth.sessions import SignedIn, close_session, rotate_session
from core.errors import TooManyRequests, Unauthenticated
from core.http import RequestBody, Services, ServicesDep, SessionDep
from core.ratelimit import client_address, rate_limit, take

router = APIRouter(prefix="/v1")

Email = Annotated[str, Field(max_length=320, examples=["ada@example.org"])]
Password = Annotated[
    str,
    Field(
        max_length=1024,
        description=f"{MIN_LENGTH} to 256 characters, none of the very common ones",
        examples=["a good long passphrase"],
    ),
]
DisplayName = Annotated[
    str, Field(max_length=400, description="1 to 80 characters", examples=["Ada Lovelace"])
]
MailedToken = Annotated[
    str,
    Field(max_length=100, description="from the link", examples=["em_" + "x" * 43]),
]


class NewAccount(RequestBody):
    email: Email
    password: Password
    display_name: DisplayName


class Accepted(BaseModel):
    """The same whether or not the address has an account."""

    status: str = Field("mail_sent", examples=["mail_sent"])


class MailedLink(RequestBody):
    token: MailedToken


class ResetRequest(RequestBody):
    email: Email


class NewPassword(RequestBody):
    token: MailedToken
    password: Password


class SignIn(BaseModel):
    """The form of a new account sends all its fields here too: others are ignored."""

    email: Email
    password: Annotated[str, Field(max_length=1024, examples=["a good long passphrase"])]


class PasswordChange(RequestBody):
    current: Annotated[str, Field(max_length=1024, examples=["a good long passphrase"])]
    password: Password


class Profile(RequestBody):
    display_name: DisplayName


class UserOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    display_name: str = Field(examples=["Ada Lovelace"])
    email: str | None = Field(None, examples=["ada@example.org"])
    email_verified_at: datetime | None = None
    external_user_id: str | None = None
    is_admin: bool = False


class SessionOut(BaseModel):
    """The token is shown once. Browsers hold it as a cookie too, and need not keep it."""

    token: str = Field(examples=["es_" + "x" * 43])
    expires_at: datetime = Field(description="moves on while the session is used")
    user: UserOut


class Me(BaseModel):
    kind: Kind
    platform_id: UUID
    user: UserOut | None = Field(None, description="absent for API keys")
    room_id: UUID | None = Field(None, description="the only room of a room token")
    scopes: list[str] = Field([], examples=[["rooms:read"]])


def _never_stored(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"


@router.post(
    "/accounts",
    status_code=202,
    tags=["accounts"],
    summary="Make an account",
    dependencies=[Depends(rate_limit(REGISTER))],
    responses=problems(EmailInvalid, NameInvalid, PasswordUnfit, CrossSite, TooManyRequests),
)
async def register(
    new: NewAccount,
    request: Request,
    services: ServicesDep,
    session: SessionDep,
    letters: LettersDep,
) -> Accepted:
    """Mails a link that confirms the address. Says the same for an address that has an account,
    whose owner is told by mail."""
    refuse_foreign_page(request, services.settings)
    email = accounts.normal_email(new.email)
    await take(services, REGISTER_ADDRESS, email.casefold())
    await accounts.register(
        session,
        letters,
        platform_id=await _site(services),
        email=email,
        password=new.password,
        display_name=new.display_name,
    )
    return Accepted()


@router.post(
    "/accounts/verify",
    status_code=204,
    tags=["accounts"],
    summary="Confirm the address",
    dependencies=[Depends(rate_limit(MAIL_TOKEN))],
    responses=problems(MailTokenInvalid, TooManyRequests),
)
async def verify(link: MailedLink, session: SessionDep) -> None:
    """Redeems the link of the registration mail, once."""
    await accounts.verify_email(session, token=link.token)


@router.post(
    "/accounts/password-reset",
    status_code=202,
    tags=["accounts"],
    summary="Ask for a new password",
    dependencies=[Depends(rate_limit(RESET))],
    responses=problems(TooManyRequests),
)
async def request_reset(
    asked: ResetRequest, services: ServicesDep, letters: LettersDep, background: BackgroundTasks
) -> Accepted:
    """Mails a link if the address has an account; the answer is the same, at the same time."""
    await take(services, RESET_ACCOUNT, asked.email.strip().casefold())
    background.add_task(_reset_after_answer, services, letters, asked.email)
    return Accepted()


async def _reset_after_answer(services: Services, letters: Letters, email: str) -> None:
    async with services.database.transaction() as session:
        platform_id = await site_platform(session)
        await accounts.request_reset(session, letters, platform_id=platform_id, email=email)


@router.post(
    "/accounts/password-reset/confirm",
    status_code=204,
    tags=["accounts"],
    summary="Choose a new password",
    dependencies=[Depends(rate_limit(MAIL_TOKEN))],
    responses=problems(MailTokenInvalid, PasswordUnfit, TooManyRequests),
)
async def confirm_reset(new: NewPassword, session: SessionDep, letters: LettersDep) -> None:
    """Redeems the link of the mail, once. Every device is signed out."""
    await accounts.confirm_reset(session, letters, token=new.token, password=new.password)


@router.post(
    "/sessions",
    status_code=201,
    tags=["sessions"],
    summary="Sign in",
    dependencies=[Depends(rate_limit(SIGN_IN)), Depends(_never_stored)],
    responses=problems(SignInFailed, CrossSite, TooManyRequests),
)
async def sign_in(
    given: SignIn, request: Request, response: Response, services: ServicesDep
) -> SessionOut:
    """A session for `Authorization: Bearer`; browsers get it as the cookie `encore_session`."""
    refuse_foreign_page(request, services.settings)
    account = given.email.strip().casefold()
    address = client_address(request, services.settings)
    await take(services, SIGN_IN_ACCOUNT_HERE, f"{account} {address}")
    await take(services, SIGN_IN_ACCOUNT, account)
    signed_in = await accounts.sign_in(
        services.database,
        platform_id=await _site(services),
        email=given.email,
        password=given.password,
        replaces=request.cookies.get(COOKIE),
    )
    return _session_out(signed_in, response, services)


@router.post(
    "/sessions/current",
    status_code=201,
    tags=["sessions"],
    summary="Renew the session's secret",
    dependencies=[Depends(_never_stored)],
    responses=problems(Unauthenticated, SessionInvalid, SessionExpired, AccountNeeded, CrossSite),
)
async def rotate(
    request: Request,
    response: Response,
    services: ServicesDep,
    session: SessionDep,
    principal: CallerDep,
) -> SessionOut:
    """A new token for another 30 days; the presented one ends."""
    require_user(principal)
    signed_in = await rotate_session(session, _token(request))
    return _session_out(signed_in, response, services)


@router.delete(
    "/sessions/current",
    status_code=204,
    tags=["sessions"],
    summary="Sign out",
    responses=problems(Unauthenticated, SessionInvalid, AccountNeeded, CrossSite),
)
async def sign_out(
    request: Request,
    response: Response,
    services: ServicesDep,
    session: SessionDep,
    principal: CallerDep,
) -> None:
    require_user(principal)
    await close_session(session, _token(request))
    response.headers.append("Set-Cookie", clear_cookie(services.settings))


@router.get(
    "/me",
    tags=["sessions"],
    summary="Who the caller is",
    dependencies=[Depends(_never_stored)],
    responses=problems(Unauthenticated),
)
async def me(session: SessionDep, principal: CallerDep) -> Me:
    if principal.kind is Kind.STRANGER or principal.platform_id is None:
        raise Unauthenticated
    return Me(
        kind=principal.kind,
        platform_id=principal.platform_id,
        user=await _own_user(session, principal),
        room_id=principal.room_id,
        scopes=sorted(principal.scopes),
    )


@router.patch(
    "/me",
    tags=["accounts"],
    summary="Change the own name",
    responses=problems(Unauthenticated, AccountNeeded, NameInvalid, CrossSite),
)
async def rename(profile: Profile, session: SessionDep, principal: CallerDep) -> UserOut:
    user_id = require_user(principal)
    user = await accounts.rename(session, user_id=user_id, display_name=profile.display_name)
    return UserOut.model_validate(user)


@router.post(
    "/me/password",
    status_code=201,
    tags=["accounts"],
    summary="Change the own password",
    dependencies=[
        Depends(rate_limit(PASSWORD_CHANGE, per_credential=True)),
        Depends(_never_stored),
    ],
    responses=problems(
        Unauthenticated, PasswordWrong, AccountNeeded, PasswordUnfit, CrossSite, TooManyRequests
    ),
)
async def change_password(
    change: PasswordChange,
    response: Response,
    services: ServicesDep,
    session: SessionDep,
    letters: LettersDep,
    principal: CallerDep,
) -> SessionOut:
    """Every device is signed out; the answer is a new session for this one."""
    signed_in = await accounts.change_password(
        session,
        letters,
        user_id=require_user(principal),
        current=change.current,
        password=change.password,
    )
    return _session_out(signed_in, response, services)


async def _own_user(session: AsyncSession, principal: Principal) -> UserOut | None:
    """A room token is handed to other programs, so its bearer learns only the name."""
    if principal.user_id is None:
        return None
    if principal.kind is Kind.ROOM_TOKEN:
        return UserOut(id=principal.user_id, display_name=principal.display_name)
    return UserOut.model_validate(await session.get_one(User, principal.user_id))


async def _site(services: Services) -> UUID:
    """In a transaction of its own: hashing a password must not hold a connection."""
    async with services.database.transaction() as session:
        return await site_platform(session)


def _token(request: Request) -> str:
    credential = presented(request)
    if credential is None:
        raise Unauthenticated
    return credential.secret


def _session_out(signed_in: SignedIn, response: Response, services: Services) -> SessionOut:
    response.headers.append("Set-Cookie", session_cookie(signed_in.token, services.settings))
    return SessionOut(
        token=signed_in.token,
        expires_at=signed_in.expires_at,
        user=UserOut.model_validate(signed_in.user),
    )


router.include_router(keys_api.router)
router.include_router(oidc_api.router)
