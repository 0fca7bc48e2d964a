"""Stripe: the one module that imports its library. It never calls the database (ADR 0030).

A call that changes something takes an idempotency `key`: repeated with the same key within a day,
it is done once. WrongMode is raised when an object is not of our key's mode (test or live).
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import stripe

from core.errors import Problem, Unavailable
from payouts.modes import WrongMode, livemode_of
from payouts.postings import BalanceTransaction
from payouts.stripe_objects import (
    Charge,
    CheckoutSession,
    ConnectedState,
    Dispute,
    PaymentIntent,
    Payout,
    Refund,
    Reversal,
    StripeEvent,
    Transfer,
    balance_transaction,
)
from payouts.throttle import Throttle

log = logging.getLogger(__name__)
logging.getLogger("stripe").setLevel(logging.WARNING)  # below that it logs Stripe's messages

API_VERSION: Final = "2026-10-28.endive"
"""The version that the pinned library is made for; create webhook endpoints with the same one."""

NETWORK_RETRIES: Final = 2
"""By the library and with the same key, after lost connections, 409 and 5xx."""

KEYS_KEPT: Final = timedelta(hours=20)
"""How long we repeat a key. Stripe forgets keys after 24 hours at the earliest
(docs.stripe.com/api/idempotent_requests); the margin is for differing clocks and slow calls."""

CALLS_END: Final = timedelta(minutes=30)
"""A call made with a key just before it was too old has certainly ended after this time more."""

NOT_MADE: Final = "not_made"
"""Our error code for what is given up after both of these times, since Stripe has nothing of it."""

NO_ACCESS: Final = "account_invalid"
"""Stripe's error code for an account that was deleted or is no longer connected to ours."""

BUSY_RETRIES: Final = 3
PAGE: Final = 100
ADDRESSES: Final = ("api", "connect", "files", "meter_events")


class PaymentsOff(Unavailable):
    code = "payments_off"
    title = "Nothing is sold here: the installation has no key of Stripe"


class StripeBusy(Unavailable):
    """Nothing was done; the same call can succeed later."""

    code = "stripe_busy"
    title = "The payment service is busy; try again in a moment"


class StripeClosed(Unavailable):
    """Stripe refuses our key, at all or for this; an earlier call may have been done."""

    code = "stripe_key_refused"
    title = "The payment service does not let us in"


class OutcomeUnknown(Unavailable):
    """The call may have been done: it may only be repeated with the same key."""

    code = "stripe_outcome_unknown"
    title = "The payment service did not answer; try again, it is done only once"


class KeyReused(OutcomeUnknown):
    """The key was used before with other parameters; that other call may have been done."""

    code = "stripe_key_reused"
    title = "The payment service was asked for something else before"


class StripeRefused(Problem):
    """Nothing was done, and the same call would be refused again. `stripe_code` says why."""

    status = 502
    code = "stripe_refused"
    title = "The payment service refused this"

    def __init__(self, stripe_code: str = "") -> None:
        super().__init__(f"the payment service refused this: {stripe_code}")
        self.stripe_code = stripe_code


class Gateway:
    """One Stripe account, in one mode. Whoever makes it closes it."""

    def __init__(
        self,
        key: str,
        *,
        base: str | None = None,
        per_second: int = 25,
        timeout_s: float = 10.0,
        first_busy_wait_s: float = 0.25,
    ) -> None:
        self.livemode = livemode_of(key)
        if self.livemode and base is not None:
            raise WrongMode("ENCORE_STRIPE_BASE is set: live keys go to Stripe itself only.")
        self._http = stripe.HTTPXClient(timeout=timeout_s, allow_sync_methods=False)
        self._client = stripe.StripeClient(
            key,
            stripe_version=API_VERSION,
            max_network_retries=NETWORK_RETRIES,
            http_client=self._http,
            base_addresses=dict.fromkeys(ADDRESSES, base) if base else None,  # type: ignore[arg-type]
        )
        self._v1 = self._client.v1
        self._throttle = Throttle(per_second)
        self._first_busy_wait_s = first_busy_wait_s

    async def close(self) -> None:
        await self._http.close_async()  # type: ignore[no-untyped-call]

    async def open_checkout(
        self,
        *,
        key: str,
        order: str,
        name: str,
        amount_minor: int,
        currency: str,
        return_url: str,
    ) -> CheckoutSession:
        """A hosted page where `order` is paid; the charge's metadata holds the order's id.

        A buyer who leaves it without paying comes back with `?left=1`.
        """
        price = {
            "currency": currency.lower(),
            "unit_amount": amount_minor,
            "product_data": {"name": name},
        }
        params = {
            "mode": "payment",
            "client_reference_id": order,
            "line_items": [{"price_data": price, "quantity": 1}],
            "payment_intent_data": {"metadata": {"order": order}, "transfer_group": order},
            "metadata": {"order": order},
            "success_url": return_url,
            "cancel_url": f"{return_url}?left=1",
        }
        return CheckoutSession.of(
            await self._call(self._v1.checkout.sessions.create_async, params, key=key)
        )

    async def checkout(self, session_id: str) -> CheckoutSession:
        return CheckoutSession.of(
            await self._call(self._v1.checkout.sessions.retrieve_async, session_id)
        )

    async def expire_checkout(self, session_id: str, *, key: str) -> None:
        """Raises StripeRefused where it is complete or has expired already."""
        await self._call(self._v1.checkout.sessions.expire_async, session_id, key=key)

    async def payment_intent(self, intent_id: str) -> PaymentIntent:
        return PaymentIntent.of(
            await self._call(self._v1.payment_intents.retrieve_async, intent_id)
        )

    async def charge(self, charge_id: str) -> Charge:
        params = {"expand": ["balance_transaction"]}
        return Charge.of(await self._call(self._v1.charges.retrieve_async, charge_id, params))

    async def refund(
        self, *, key: str, charge: str, amount_minor: int, metadata: Mapping[str, str]
    ) -> Refund:
        params = {
            "charge": charge,
            "amount": amount_minor,
            "reason": "requested_by_customer",
            "metadata": dict(metadata),
            "expand": ["balance_transaction"],
        }
        return Refund.of(await self._call(self._v1.refunds.create_async, params, key=key))

    async def refund_now(self, refund_id: str) -> Refund:
        params = {"expand": ["balance_transaction", "failure_balance_transaction"]}
        return Refund.of(await self._call(self._v1.refunds.retrieve_async, refund_id, params))

    async def refunds_of(self, charge: str) -> Sequence[Refund]:
        expand = ["data.balance_transaction", "data.failure_balance_transaction"]
        params = {"charge": charge, "limit": PAGE, "expand": expand}
        return [Refund.of(each) async for each in self._listed(self._v1.refunds.list_async, params)]

    async def dispute(self, dispute_id: str) -> Dispute:
        return Dispute.of(await self._call(self._v1.disputes.retrieve_async, dispute_id))

    async def create_account(
        self, *, key: str, metadata: Mapping[str, str], country: str | None = None
    ) -> ConnectedState:
        """A connected account with the Express dashboard; we pay its fees and bear its losses
        (docs.stripe.com/api/accounts/object)."""
        params: dict[str, Any] = {
            "controller": {
                "fees": {"payer": "application"},
                "losses": {"payments": "application"},
                "stripe_dashboard": {"type": "express"},
            },
            "capabilities": {"transfers": {"requested": True}},
            "metadata": dict(metadata),
        }
        if country is not None:
            params["country"] = country
        return ConnectedState.of(await self._call(self._v1.accounts.create_async, params, key=key))

    async def account(self, account_id: str) -> ConnectedState:
        return ConnectedState.of(await self._call(self._v1.accounts.retrieve_async, account_id))

    async def onboarding_link(
        self, account_id: str, *, key: str, return_url: str, refresh_url: str
    ) -> str:
        """The page where the creator tells Stripe who they are; works once, for some minutes."""
        params = {
            "account": account_id,
            "type": "account_onboarding",
            "return_url": return_url,
            "refresh_url": refresh_url,
        }
        made = await self._call(self._v1.account_links.create_async, params, key=key)
        return str(made["url"])

    async def dashboard_link(self, account_id: str, *, key: str) -> str:
        """The page where the creator sees payouts and changes their bank; works once."""
        made = await self._call(self._v1.accounts.login_links.create_async, account_id, key=key)
        return str(made["url"])

    async def transfer(
        self,
        *,
        key: str,
        destination: str,
        amount_minor: int,
        currency: str,
        group: str,
        metadata: Mapping[str, str],
    ) -> Transfer:
        params = {
            "amount": amount_minor,
            "currency": currency.lower(),
            "destination": destination,
            "transfer_group": group,
            "metadata": dict(metadata),
            "expand": ["balance_transaction"],
        }
        return Transfer.of(await self._call(self._v1.transfers.create_async, params, key=key))

    async def transfer_now(self, transfer_id: str) -> Transfer:
        params = {"expand": ["balance_transaction"]}
        return Transfer.of(await self._call(self._v1.transfers.retrieve_async, transfer_id, params))

    async def transfers_of(self, group: str) -> Sequence[Transfer]:
        params = {"transfer_group": group, "limit": PAGE, "expand": ["data.balance_transaction"]}
        return [
            Transfer.of(each) async for each in self._listed(self._v1.transfers.list_async, params)
        ]

    async def reversals_of(self, transfer_id: str) -> Sequence[Reversal]:
        params = {"limit": PAGE, "expand": ["data.balance_transaction"]}
        listing = self._v1.transfers.reversals.list_async

        async def page(given: dict[str, Any]) -> Any:
            return await listing(transfer_id, given)  # type: ignore[arg-type]

        return [Reversal.of(each) async for each in self._listed(page, params)]

    async def payout(self, payout_id: str, *, account: str | None = None) -> Payout:
        """A payout of the connected `account`, or else of our own."""
        params = {"expand": ["balance_transaction"]} if account is None else {}
        return Payout.of(
            await self._call(self._v1.payouts.retrieve_async, payout_id, params, account=account)
        )

    async def reversed_transfer(self, movement_id: str) -> str:
        """The id of the transfer whose reversal made this balance transaction."""
        expanded = {"expand": ["source"]}
        found = await self._call(
            self._v1.balance_transactions.retrieve_async, movement_id, expanded
        )
        return str(found["source"]["transfer"])

    async def movements(self, *, since: datetime) -> AsyncIterator[Sequence[BalanceTransaction]]:
        """Everything that moved our balance, newest first, page by page."""
        params = {"created": {"gte": int(since.timestamp())}, "limit": PAGE}
        async for page in self._pages(self._v1.balance_transactions.list_async, params):
            yield [balance_transaction(each) for each in page]

    async def events(
        self, *, since: datetime, account: str | None = None, kinds: Sequence[str] = ()
    ) -> AsyncIterator[Sequence[StripeEvent]]:
        """Of our own account or of a connected one, newest first, page by page.

        Stripe keeps them for 30 days. `kinds`: of these alone, at most 20.
        """
        params: dict[str, Any] = {"created": {"gte": int(since.timestamp())}, "limit": PAGE}
        if kinds:
            params["types"] = list(kinds)
        async for page in self._pages(self._v1.events.list_async, params, account=account):
            yield [StripeEvent.of(each, account=account) for each in page]

    async def _listed(
        self, listing: Callable[..., Awaitable[Any]], params: Mapping[str, Any]
    ) -> AsyncIterator[dict[str, Any]]:
        async for page in self._pages(listing, params):
            for each in page:
                yield each

    async def _pages(
        self,
        listing: Callable[..., Awaitable[Any]],
        params: Mapping[str, Any],
        *,
        account: str | None = None,
    ) -> AsyncIterator[Sequence[dict[str, Any]]]:
        """docs.stripe.com/api/pagination."""
        more: dict[str, Any] = {}
        while True:
            page = await self._call(listing, {**params, **more}, account=account)
            yield page["data"]
            if not page["has_more"]:
                return
            more = {"starting_after": page["data"][-1]["id"]}

    async def _call(
        self,
        call: Callable[..., Awaitable[Any]],
        *given: Any,
        key: str | None = None,
        account: str | None = None,
    ) -> dict[str, Any]:
        """The answer's JSON.

        Raises StripeBusy, StripeClosed, OutcomeUnknown, StripeRefused, WrongMode.
        """
        options = {"idempotency_key": key, "stripe_account": account}
        options = {name: value for name, value in options.items() if value is not None}
        for attempt in range(BUSY_RETRIES + 1):
            if attempt:
                wait = self._first_busy_wait_s * 2 ** (attempt - 1)
                await asyncio.sleep(wait * (1 + random.random()))  # noqa: S311
            await self._throttle.turn()
            try:
                answer = await call(*given, **({"options": options} if options else {}))
                return self._checked(answer.to_dict())
            except stripe.RateLimitError:
                self._throttle.slow_down()
            except stripe.StripeError as error:
                raise _ours(error) from None
        raise StripeBusy

    def _checked(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Raises WrongMode. Some objects, such as accounts and refunds, do not say their mode."""
        if answer.get("livemode", self.livemode) != self.livemode:
            raise WrongMode("Stripe answered with an object of the other mode")
        return answer


def _ours(error: stripe.StripeError) -> Problem:
    """The problem that stands for an error of the library (docs.stripe.com/api/errors)."""
    kind = type(error).__name__
    code = error.code or (error.error and error.error.code)  # a 403 has it only there
    log.warning("stripe: %s %s %s %s", kind, error.http_status, code, error.request_id)
    match error:
        case stripe.APIConnectionError():
            return OutcomeUnknown()
        case stripe.CardError():
            return StripeRefused(code or "card_declined")
        case stripe.IdempotencyError():
            return KeyReused()
        case stripe.AuthenticationError() | stripe.PermissionError() if code != NO_ACCESS:
            return StripeClosed()
        case stripe.APIError():
            return OutcomeUnknown()
    return StripeRefused(code or type(error).__name__)
