"""`/v1/webhook-endpoints`: for a platform's servers (scope `webhooks:write`) and its admins."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict

from core.auth.browser import CrossSite
from core.auth.dependencies import CallerDep
from core.auth.documented import problems
from core.auth.rights import ScopeMissing
from core.errors import Unauthenticated
from core.http import RequestBody, ServicesDep, SessionDep
from core.webhooks import service
from core.webhooks.delivery import message_id
from core.webhooks.models import DeliveryState, DisabledReason, WebhookDelivery, WebhookEndpoint
from core.webhooks.sender import WebhookUrlInvalid
from core.webhooks.service import EndpointNotFound, TooManyEndpoints

router = APIRouter(prefix="/v1/webhook-endpoints", tags=["webhooks"])
REFUSED = (Unauthenticated, ScopeMissing, CrossSite)
READ_REFUSED = (Unauthenticated, ScopeMissing)

Kind = Annotated[str, StringConstraints(pattern=r"^[a-z_]+(\.[a-z_]+)+$", max_length=100)]

ENDPOINT: JsonDict = {
    "id": "019a9d5c-5a2e-7c4f-9a55-0b7f2f1f5d11",
    "url": "https://app.example/hooks/encore",
    "kinds": ["room.ended", "recording.finished"],
    "created_at": "2026-11-21T20:00:00Z",
    "accepted_at": None,
    "disabled_at": None,
    "disabled_reason": None,
}
DELIVERY: JsonDict = {
    "id": "019a9d5d-0f3c-7d21-8a1e-5b0f6f0c9a42",
    "webhook_id": "msg_019a9d5d0f3c7d218a1e5b0f6f0c9a42",
    "kind": "recording.finished",
    "state": "pending",
    "attempts": 1,
    "created_at": "2026-11-21T21:00:00Z",
    "attempted_at": "2026-11-21T21:00:01Z",
    "response_status": 502,
    "failure": None,
}
NEW_SECRET: JsonDict = {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="}


class EndpointIn(RequestBody):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"url": ENDPOINT["url"], "kinds": ENDPOINT["kinds"]}]}
    )

    url: Annotated[str, Field(max_length=2000, description="https in production")]
    kinds: list[Kind] = Field([], max_length=50, description="empty for all")


class EndpointOut(BaseModel):
    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [ENDPOINT]})

    id: UUID
    url: str
    kinds: list[str]
    created_at: datetime
    accepted_at: datetime | None
    disabled_at: datetime | None
    disabled_reason: DisabledReason | None


class EndpointWithSecret(EndpointOut):
    model_config = ConfigDict(json_schema_extra={"examples": [ENDPOINT | NEW_SECRET]})

    secret: Annotated[str, Field(description="shown once; verify messages with it")]


class EndpointList(BaseModel):
    endpoints: list[EndpointOut]


class DeliveryOut(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [DELIVERY]})

    id: UUID
    webhook_id: str
    kind: str
    state: DeliveryState
    attempts: int
    created_at: datetime
    attempted_at: datetime | None
    response_status: int | None
    failure: str | None


class DeliveryList(BaseModel):
    deliveries: list[DeliveryOut]
    next_before: Annotated[UUID | None, Field(description="`before` of the next page")]


@router.post(
    "",
    status_code=201,
    summary="Register a webhook",
    responses=problems(*REFUSED, TooManyEndpoints, WebhookUrlInvalid),
)
async def create(
    wanted: EndpointIn, caller: CallerDep, session: SessionDep, services: ServicesDep
) -> EndpointWithSecret:
    """Messages to the URL are signed with the secret (Standard Webhooks)."""
    endpoint, secret = await service.create_endpoint(
        session,
        caller,
        settings=services.settings,
        installation_secret=services.secret,
        url=wanted.url,
        kinds=wanted.kinds,
    )
    return _with_secret(endpoint, secret)


@router.get("", summary="List the platform's webhooks", responses=problems(*READ_REFUSED))
async def read_all(caller: CallerDep, session: SessionDep) -> EndpointList:
    """Without their secrets."""
    rows = await service.list_endpoints(session, caller)
    return EndpointList(endpoints=[EndpointOut.model_validate(row) for row in rows])


@router.delete(
    "/{endpoint_id}",
    status_code=204,
    summary="Delete a webhook",
    responses=problems(*REFUSED, EndpointNotFound),
)
async def delete(endpoint_id: UUID, caller: CallerDep, session: SessionDep) -> None:
    """Nothing more is sent to it; its deliveries are forgotten."""
    await service.delete_endpoint(session, caller, endpoint_id=endpoint_id)


@router.post(
    "/{endpoint_id}/rotate",
    summary="Give a webhook a new secret",
    responses=problems(*REFUSED, EndpointNotFound),
)
async def rotate(
    endpoint_id: UUID, caller: CallerDep, session: SessionDep, services: ServicesDep
) -> EndpointWithSecret:
    """For 24 hours messages are signed with both."""
    endpoint, secret = await service.rotate_secret(
        session, caller, installation_secret=services.secret, endpoint_id=endpoint_id
    )
    return _with_secret(endpoint, secret)


@router.post(
    "/{endpoint_id}/enable",
    summary="Send to a disabled webhook again",
    responses=problems(*REFUSED, EndpointNotFound),
)
async def enable(endpoint_id: UUID, caller: CallerDep, session: SessionDep) -> EndpointOut:
    """What it missed is not sent."""
    row = await service.enable_endpoint(session, caller, endpoint_id=endpoint_id)
    return EndpointOut.model_validate(row)


@router.get(
    "/{endpoint_id}/deliveries",
    summary="Page through what was sent to a webhook",
    responses=problems(*READ_REFUSED, EndpointNotFound),
)
async def deliveries(
    endpoint_id: UUID,
    caller: CallerDep,
    session: SessionDep,
    before: Annotated[
        UUID | None, Query(description="id of the last one on the page before")
    ] = None,
) -> DeliveryList:
    """The newest first, also what could not be delivered, with the reason."""
    rows = await service.list_deliveries(session, caller, endpoint_id=endpoint_id, before=before)
    full = len(rows) == service.PAGE_SIZE
    return DeliveryList(
        deliveries=[_delivery(row) for row in rows], next_before=rows[-1].id if full else None
    )


def _with_secret(endpoint: WebhookEndpoint, secret: str) -> EndpointWithSecret:
    shown = EndpointOut.model_validate(endpoint).model_dump()
    return EndpointWithSecret(**shown, secret=secret)


def _delivery(row: WebhookDelivery) -> DeliveryOut:
    return DeliveryOut(
        id=row.id,
        webhook_id=message_id(row.id),
        kind=row.kind,
        state=row.state,
        attempts=row.attempts,
        created_at=row.created_at,
        attempted_at=row.attempted_at,
        response_status=row.response_status,
        failure=row.failure,
    )
