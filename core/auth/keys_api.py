"""HTTP: a platform's API keys, and the people that its server vouches for."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from core.auth.api_keys import (
    ApiKeyNotFound,
    ExternalIdInvalid,
    ScopeExceeded,
    create_api_key,
    list_api_keys,
    revoke_api_key,
    upsert_external_user,
)
from core.auth.browser import CrossSite
from core.auth.dependencies import CallerDep
from core.auth.display import NameInvalid
from core.auth.documented import problems
from core.auth.limits import KEY_MANAGEMENT
from core.auth.principal import Scope
from core.auth.rights import ScopeMissing
from core.errors import TooManyRequests, Unauthenticated
from core.http import RequestBody, SessionDep
from core.ratelimit import rate_limit

router = APIRouter()
LIMITED = [Depends(rate_limit(KEY_MANAGEMENT))]


class NewApiKey(RequestBody):
    name: str = Field(max_length=400, examples=["production server"])
    scopes: list[Scope] = Field(
        min_length=1, max_length=20, examples=[["rooms:write", "tokens:write"]]
    )


class ApiKeyOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str = Field(examples=["production server"])
    scopes: list[str] = Field(examples=[["rooms:write", "tokens:write"]])
    created_at: datetime
    last_used_at: datetime | None = Field(None, description="to the minute")


class CreatedApiKey(ApiKeyOut):
    secret: str = Field(description="shown once", examples=["ek_" + "x" * 43])


class ApiKeys(BaseModel):
    items: list[ApiKeyOut]


class ExternalUser(RequestBody):
    display_name: str = Field(
        max_length=400, description="1 to 80 characters", examples=["Ada Lovelace"]
    )


class ExternalUserOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    external_user_id: str = Field(examples=["customer-1815"])
    display_name: str = Field(examples=["Ada Lovelace"])


@router.post(
    "/api-keys",
    status_code=201,
    tags=["api keys"],
    summary="Create an API key",
    dependencies=LIMITED,
    responses=problems(
        Unauthenticated, ScopeMissing, ScopeExceeded, NameInvalid, CrossSite, TooManyRequests
    ),
)
async def create(
    new: NewApiKey, response: Response, session: SessionDep, principal: CallerDep
) -> CreatedApiKey:
    """By the platform's admin, or by a key with `keys:write` within its own scopes."""
    response.headers["Cache-Control"] = "no-store"
    key, secret = await create_api_key(session, principal, name=new.name, scopes=new.scopes)
    await session.refresh(key)
    shown = ApiKeyOut.model_validate(key)
    return CreatedApiKey(**shown.model_dump(), secret=secret)


@router.get(
    "/api-keys",
    tags=["api keys"],
    summary="List the platform's API keys",
    responses=problems(Unauthenticated, ScopeMissing),
)
async def list_keys(session: SessionDep, principal: CallerDep) -> ApiKeys:
    keys = await list_api_keys(session, principal)
    return ApiKeys(items=[ApiKeyOut.model_validate(key) for key in keys])


@router.delete(
    "/api-keys/{key_id}",
    status_code=204,
    tags=["api keys"],
    summary="Revoke an API key",
    dependencies=LIMITED,
    responses=problems(Unauthenticated, ScopeMissing, ApiKeyNotFound, CrossSite, TooManyRequests),
)
async def revoke(key_id: UUID, session: SessionDep, principal: CallerDep) -> None:
    await revoke_api_key(session, principal, key_id=key_id)


@router.put(
    "/users/{external_user_id:path}",
    tags=["users"],
    summary="Create or rename a person by the platform's own id",
    responses={
        201: {"model": ExternalUserOut, "description": "The person is new"},
        **problems(Unauthenticated, ScopeMissing, ExternalIdInvalid, NameInvalid),
    },
)
async def put_user(
    external_user_id: Annotated[str, Path(examples=["customer-1815"])],
    person: ExternalUser,
    response: Response,
    session: SessionDep,
    principal: CallerDep,
) -> ExternalUserOut:
    """By an API key with `users:write`. The same call again changes nothing."""
    user, is_new = await upsert_external_user(
        session,
        principal,
        external_user_id=external_user_id,
        display_name=person.display_name,
    )
    response.status_code = 201 if is_new else 200
    return ExternalUserOut.model_validate(user)
