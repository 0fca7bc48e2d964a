"""An attempt to pay a payment intent: 3D Secure, a decline, or success."""

from payouts.sandbox.events import emit
from payouts.sandbox.rendering import rendered
from payouts.sandbox.resources.cards import BY_NUMBER, Behavior, TestCard
from payouts.sandbox.resources.charges import refuse, take
from payouts.sandbox.resources.disputes import open_dispute
from payouts.sandbox.store import Object
from payouts.sandbox.world import Call

NEEDS_3DS = (Behavior.NEEDS_3DS, Behavior.DECLINED_AFTER_3DS)
PAYABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
AUTHENTICATION_FAILED = TestCard(
    "",
    code="payment_intent_authentication_failure",
    message="We are unable to authenticate your payment method. Please choose a different "
    "payment method and try again.",
)


def attempt(call: Call, intent: Object, method: Object, return_url: str | None = None) -> Object:
    """Tries to pay the intent; its card decides how that ends. Returns the changed intent."""
    card = BY_NUMBER[method["_number"]]
    call.save(intent, payment_method=method["id"], last_payment_error=None, next_action=None)
    if card.behavior in NEEDS_3DS:
        return _ask_for_3ds(call, intent, return_url)
    if card.behavior == Behavior.DECLINED:
        return _decline(call, intent, method, card)
    return _succeed(call, intent, method, card)


def authenticated(call: Call, intent: Object, *, passed: bool) -> Object:
    """After the 3D Secure page. An intent that does not wait for it is left as it is."""
    if intent["status"] != "requires_action":
        return intent
    method = call.get("payment_method", intent["payment_method"])
    card = BY_NUMBER[method["_number"]]
    call.save(intent, next_action=None)
    if not passed:
        return _fail(call, intent, method, AUTHENTICATION_FAILED, charge=None)
    if card.behavior == Behavior.DECLINED_AFTER_3DS:
        return _decline(call, intent, method, card)
    return _succeed(call, intent, method, card)


def _ask_for_3ds(call: Call, intent: Object, return_url: str | None) -> Object:
    url = f"{call.world.base_url}/3ds/{intent['id']}"
    action = {
        "type": "redirect_to_url",
        "redirect_to_url": {"return_url": return_url, "url": url},
    }
    call.save(intent, status="requires_action", next_action=action, _return_url=return_url)
    emit(call, "payment_intent.requires_action", intent)
    return intent


def _succeed(call: Call, intent: Object, method: Object, card: TestCard) -> Object:
    charge = take(call, intent, method)
    call.save(
        intent,
        status="succeeded",
        amount_received=intent["amount"],
        latest_charge=charge["id"],
    )
    emit(call, "payment_intent.succeeded", intent)
    if card.behavior == Behavior.DISPUTED:
        open_dispute(call, charge, charge["amount"], "fraudulent")
    return intent


def _decline(call: Call, intent: Object, method: Object, card: TestCard) -> Object:
    return _fail(call, intent, method, card, charge=refuse(call, intent, method, card)["id"])


def _fail(
    call: Call, intent: Object, method: Object, card: TestCard, *, charge: str | None
) -> Object:
    told = {
        "type": "card_error",
        "code": card.code,
        "decline_code": card.decline_code,
        "charge": charge,
        "message": card.message,
        "payment_method": rendered(call.world, method),
    }
    call.save(
        intent,
        status="requires_payment_method",
        payment_method=None,
        latest_charge=charge or intent["latest_charge"],
        last_payment_error={name: value for name, value in told.items() if value is not None},
    )
    emit(call, "payment_intent.payment_failed", intent)
    return intent
