"""Account links and login links: the ways to the hosted pages of connected accounts."""

from typing import Annotated, Literal

from pydantic import Field

from payouts.sandbox.endpoints import Nothing, endpoint
from payouts.sandbox.params import Params, Part
from payouts.sandbox.refusal import invalid
from payouts.sandbox.resources.accounts import living
from payouts.sandbox.store import Object
from payouts.sandbox.world import Call

LINK_SECONDS = 5 * 60


class CollectionOptions(Part):
    fields: Literal["currently_due", "eventually_due"] = "currently_due"
    future_requirements: Literal["include", "omit"] = "omit"


class CreateLink(Params):
    account: str
    type: Literal["account_onboarding", "account_update"]
    refresh_url: Annotated[str, Field(min_length=1)]
    return_url: Annotated[str, Field(min_length=1)]
    collection_options: CollectionOptions | None = None


@endpoint("POST", "/v1/account_links")
def create_link(call: Call, params: CreateLink) -> Object:
    """Opened once; a used or expired one leads to `refresh_url`."""
    account = living(call, params.account)
    link = call.make(
        "account_link",
        "link",
        account=account["id"],
        expires_at=call.now + LINK_SECONDS,
        refresh_url=params.refresh_url,
        return_url=params.return_url,
        used=False,
    )
    return {
        "object": "account_link",
        "created": link["created"],
        "expires_at": link["expires_at"],
        "url": f"{call.world.base_url}/setup/{link['id']}",
    }


@endpoint("POST", "/v1/accounts/{account}/login_links")
def create_login_link(call: Call, params: Nothing, account: str) -> Object:
    found = living(call, account)
    if not found["details_submitted"]:
        raise invalid(
            f"Cannot create a login link for an account that has not completed onboarding: "
            f"{account}",
            "account",
        )
    url = f"{call.world.base_url}/express/{account}"
    return {"object": "login_link", "created": call.now, "url": url}
