"""Connected accounts (docs.stripe.com/api/accounts): Express, paid by transfers alone."""

from typing import Annotated, Literal

from pydantic import Field

from payouts.sandbox.endpoints import Nothing, endpoint
from payouts.sandbox.events import emit
from payouts.sandbox.listing import CreatedParams, page_of, whole
from payouts.sandbox.params import Metadata, Params, Part, Text, merged
from payouts.sandbox.refusal import invalid, missing, no_access
from payouts.sandbox.resources.account_shapes import new_account
from payouts.sandbox.resources.balance import totals
from payouts.sandbox.store import Object
from payouts.sandbox.world import Call


class FeesOf(Part):
    payer: Literal["application", "account"] = "account"


class LossesOf(Part):
    payments: Literal["application", "stripe"] = "stripe"


class DashboardOf(Part):
    type: Literal["express", "full", "none"] = "full"


class Controller(Part):
    fees: FeesOf = FeesOf()
    losses: LossesOf = LossesOf()
    stripe_dashboard: DashboardOf = DashboardOf()
    requirement_collection: Literal["stripe", "application"] = "stripe"


class Requested(Part):
    requested: bool = False


class Capabilities(Part):
    card_payments: Requested | None = None
    transfers: Requested | None = None


class BusinessProfile(Part):
    mcc: Text = None
    name: Text = None
    product_description: Text = None
    support_email: Text = None
    url: Text = None


class Schedule(Part):
    interval: Literal["manual", "daily", "weekly", "monthly"] | None = None
    delay_days: int | Literal["minimum"] | None = None


class PayoutSettings(Part):
    schedule: Schedule = Schedule()
    statement_descriptor: Text = None


class AccountSettings(Part):
    payouts: PayoutSettings = PayoutSettings()


class UpdateAccount(Params):
    business_profile: BusinessProfile | None = None
    business_type: Literal["individual", "company", "non_profit"] | None = None
    capabilities: Capabilities | None = None
    email: Text = None
    metadata: Metadata | None = None
    settings: AccountSettings | None = None


class CreateAccount(UpdateAccount):
    controller: Controller | None = None
    country: Annotated[str | None, Field(pattern="^[A-Z]{2}$")] = None
    default_currency: str | None = None
    type: Literal["express", "standard", "custom"] | None = None


class RejectAccount(Params):
    reason: Literal["fraud", "terms_of_service", "other"]


@endpoint("GET", "/v1/account")
def retrieve_own(call: Call, params: Nothing) -> Object:
    return platform_account(call) if call.on_platform else living(call, call.account)


@endpoint("POST", "/v1/accounts")
def create_account(call: Call, params: CreateAccount) -> Object:
    if params.controller and params.type:
        raise invalid("You may not provide the `type` parameter with `controller`.", "type")
    account = new_account(
        call,
        country=params.country or call.world.country,
        email=params.email,
        controller=_controller_of(params),
    )
    _apply(account, params)
    return call.save(account)


@endpoint("GET", "/v1/accounts")
def list_accounts(call: Call, params: CreatedParams) -> Object:
    return page_of(call, "account", "/v1/accounts", params, _connected=1)


@endpoint("GET", "/v1/accounts/{account}")
def retrieve_account(call: Call, params: Nothing, account: str) -> Object:
    if account == call.world.platform:
        return platform_account(call)
    return living(call, account)


@endpoint("POST", "/v1/accounts/{account}")
def update_account(call: Call, params: UpdateAccount, account: str) -> Object:
    found = living(call, account)
    _apply(found, params)
    changed(call, found)
    return found


@endpoint("DELETE", "/v1/accounts/{account}")
def delete_account(call: Call, params: Nothing, account: str) -> Object:
    found = living(call, account)
    owner = call.on(account)
    if any((totals(owner, pending=True) | totals(owner, pending=False)).values()):
        raise invalid("This account has a balance other than zero.", "account")
    emit(owner, "account.application.deauthorized", _application(found))
    return call.store.put({"id": account, "object": "account", "deleted": True})


@endpoint("POST", "/v1/accounts/{account}/reject")
def reject_account(call: Call, params: RejectAccount, account: str) -> Object:
    found = living(call, account)
    restrict(call, found, f"rejected.{params.reason}", [])
    return found


@endpoint("GET", "/v1/accounts/{account}/capabilities")
def list_capabilities(call: Call, params: Nothing, account: str) -> Object:
    found = living(call, account)
    shown = [_capability(found, name) for name in found["capabilities"]]
    return whole(shown, f"/v1/accounts/{account}/capabilities")


@endpoint("GET", "/v1/accounts/{account}/capabilities/{capability}")
def retrieve_capability(call: Call, params: Nothing, account: str, capability: str) -> Object:
    found = living(call, account)
    if capability not in found["capabilities"]:
        raise missing("capability", capability, "capability")
    return _capability(found, capability)


@endpoint("GET", "/v1/accounts/{account}/external_accounts")
def list_external_accounts(call: Call, params: Nothing, account: str) -> Object:
    shown: Object = living(call, account)["external_accounts"]
    return shown


def living(call: Call, id: str) -> Object:
    """A connected account that is not deleted, whether it calls itself or the platform does.

    Raises Refusal (403, account_invalid).
    """
    found = call.store.find(id, account=call.world.platform)
    if found is None or found["object"] != "account" or found.get("deleted"):
        raise no_access(id)
    return found


def onboard(call: Call, account: Object, bank: Object) -> None:
    """Onboarding is complete: the account can receive transfers and is paid out."""
    account["external_accounts"] = whole([bank], account["external_accounts"]["url"])
    account["default_currency"] = bank["currency"]
    account["details_submitted"] = True
    account["tos_acceptance"] = {"date": call.now}
    enable(call, account)
    emit(call.on(account["id"]), "account.external_account.created", bank)


def enable(call: Call, account: Object) -> None:
    """Nothing is missing, so every capability that was asked for is active."""
    account["capabilities"] = dict.fromkeys(account["capabilities"], "active")
    account["charges_enabled"] = account["capabilities"].get("card_payments") == "active"
    account["payouts_enabled"] = True
    _require(account, [], None)
    changed(call, account)


def restrict(call: Call, account: Object, reason: str, due: list[str]) -> None:
    """Takes the capabilities away until what is due is given; `rejected.*`: for good."""
    account["capabilities"] = dict.fromkeys(account["capabilities"], "inactive")
    account["charges_enabled"] = account["payouts_enabled"] = False
    _require(account, due, reason)
    changed(call, account)


def changed(call: Call, account: Object) -> None:
    """Saves the account and tells the endpoints for connected accounts."""
    emit(call.on(account["id"]), "account.updated", call.save(account))


def platform_account(call: Call) -> Object:
    """The platform's own account, made when it is first asked for; it needs no onboarding."""
    shape = call.store.find(call.world.platform)
    if shape is not None:
        return shape
    controller = {"type": "account"}
    made = new_account(
        call, country=call.world.country, email=None, controller=controller, connected=False
    )
    call.store.delete(made["id"])
    made |= {"id": call.world.platform, "charges_enabled": True, "payouts_enabled": True}
    made["details_submitted"] = True
    _require(made, [], None)
    return call.store.insert(made, account=call.world.platform)


def _controller_of(params: CreateAccount) -> Object:
    given = params.controller or Controller(stripe_dashboard=DashboardOf(type="express"))
    return {"type": "application", "is_controller": True, **given.model_dump()}


def _apply(account: Object, params: UpdateAccount) -> None:
    account["metadata"] = merged(account["metadata"], params.metadata)
    if params.business_profile is not None:
        account["business_profile"] |= params.business_profile.model_dump(exclude_unset=True)
    for name in ("business_type", "email"):
        if name in params.model_fields_set:
            account[name] = getattr(params, name)
    if params.settings is not None:
        given = params.settings.payouts.schedule.model_dump(exclude_none=True)
        if given.get("delay_days") == "minimum":
            given["delay_days"] = 2
        account["settings"]["payouts"]["schedule"] |= given
    _request(account, params.capabilities)


def _request(account: Object, capabilities: Capabilities | None) -> None:
    given = capabilities.model_dump(exclude_none=True) if capabilities else {}
    ready = account["details_submitted"] and not account["requirements"]["currently_due"]
    for name, wanted in given.items():
        if wanted["requested"]:
            account["capabilities"].setdefault(name, "active" if ready else "inactive")
        else:
            account["capabilities"].pop(name, None)


def _require(account: Object, due: list[str], reason: str | None) -> None:
    account["requirements"] |= {
        "currently_due": due,
        "disabled_reason": reason,
        "eventually_due": due,
        "past_due": due,
    }


def _capability(account: Object, name: str) -> Object:
    due = account["requirements"]["currently_due"]
    return {
        "id": name,
        "object": "capability",
        "account": account["id"],
        "requested": True,
        "requested_at": account["created"],
        "requirements": {
            "alternatives": [],
            "current_deadline": None,
            "currently_due": due,
            "disabled_reason": "requirements.fields_needed" if due else None,
            "errors": [],
            "eventually_due": due,
            "past_due": due,
            "pending_verification": [],
        },
        "status": account["capabilities"][name],
    }


def _application(account: Object) -> Object:
    return {"id": f"ca_{account['id'][5:]}", "object": "application", "name": "Encore"}
