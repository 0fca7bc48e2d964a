"""How a creator comes to be paid: a connected account at Stripe, and what Stripe still requires."""

import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from core.auth.rights import require_user
from core.errors import Conflict
from core.ids import uuid7
from core.webhooks.service import emit
from payouts.alerts import set_aside
from payouts.cashier import Cashier
from payouts.gateway import NO_ACCESS, StripeRefused
from payouts.gateway_models import ConnectedAccount
from payouts.stripe_objects import ConnectedState

log = logging.getLogger(__name__)

CREATOR_READY: Final = "creator.ready"
DISCONNECTED: Final = "disconnected"
"""Our `disabled_reason` of an account that was deleted, or that its owner has disconnected."""


class NotOnboarded(Conflict):
    code = "not_onboarded"
    title = "There is no account to be paid to yet; begin with onboarding"


class AccountGone(NotOnboarded):
    title = "Your account at Stripe is no longer connected; begin with onboarding again"


class Step(StrEnum):
    """What happens next."""

    BEGIN = "begin"
    """There is no account yet: POST the onboarding and open the link."""
    CONTINUE = "continue"
    """Onboarding was left before its end."""
    WAIT = "wait"
    """Stripe is checking what was given; there is nothing to do."""
    FIX = "fix"
    """Stripe requires something more, or has restricted the account."""
    READY = "ready"
    """Matured earnings are transferred automatically."""


@dataclass(frozen=True, slots=True)
class Onboarding:
    step: Step
    due: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    disabled_reason: str | None = None
    payouts_enabled: bool = False


def step_of(account: ConnectedAccount | None) -> Step:
    if account is None or account.account is None or _is_gone(account):
        return Step.BEGIN
    if not account.details_submitted:
        return Step.CONTINUE
    if account.due or (account.disabled_reason and not account.pending):
        return Step.FIX
    if not account.transfers_active:
        return Step.WAIT
    return Step.READY


def _is_gone(account: ConnectedAccount) -> bool:
    return account.disabled_reason == DISCONNECTED


def shown(account: ConnectedAccount | None) -> Onboarding:
    if account is None:
        return Onboarding(Step.BEGIN)
    return Onboarding(
        step_of(account),
        tuple(account.due),
        tuple(account.pending),
        account.disabled_reason,
        account.payouts_enabled,
    )


async def account_of(session: AsyncSession, principal: Principal) -> ConnectedAccount | None:
    """The caller's. Raises Unauthenticated, AccountNeeded."""
    mine = sa.select(ConnectedAccount).where(
        ConnectedAccount.platform_id == principal.platform_id,
        ConnectedAccount.user_id == require_user(principal),
    )
    return await session.scalar(mine.execution_options(populate_existing=True))


async def begin(cashier: Cashier, *, principal: Principal) -> str:
    """The link to Stripe's page where the caller begins or continues; it works once.

    Makes their connected account first, or another one if that was deleted or disconnected.
    """
    try:
        return await _link(cashier, await _account_at_stripe(cashier, principal))
    except AccountGone:
        return await _link(cashier, await _account_at_stripe(cashier, principal))


async def _account_at_stripe(cashier: Cashier, principal: Principal) -> str:
    async with cashier.database.transaction() as session:
        account = await _written(session, cashier, principal)
    if account.account is not None and not _is_gone(account):
        return account.account
    key = f"{account.id}:{account.account}" if account.account else str(account.id)
    made = await cashier.gateway.create_account(key=key, metadata={"creator": str(account.id)})
    await note_account(cashier, made, datetime.now(UTC))
    return made.id


async def _link(cashier: Cashier, account_id: str) -> str:
    page = f"{cashier.settings.public_web_url}/earnings"
    async with _still_ours(cashier, account_id):
        return await cashier.gateway.onboarding_link(
            account_id, key=str(uuid7()), return_url=page, refresh_url=f"{page}?again=1"
        )


async def dashboard(cashier: Cashier, *, principal: Principal) -> str:
    """The link to the creator's Express dashboard; it works once. Raises NotOnboarded."""
    async with cashier.database.transaction() as session:
        account = await account_of(session, principal)
    if account is None or account.account is None or not account.details_submitted:
        raise NotOnboarded
    if _is_gone(account):
        raise AccountGone
    async with _still_ours(cashier, account.account):
        return await cashier.gateway.dashboard_link(account.account, key=str(uuid7()))


@contextlib.asynccontextmanager
async def _still_ours(cashier: Cashier, account_id: str) -> AsyncIterator[None]:
    """Turns Stripe's refusal of an account that is gone into AccountGone: its event may be lost."""
    try:
        yield
    except StripeRefused as refused:
        if refused.stripe_code != NO_ACCESS:
            raise
        await account_closed(cashier, account_id)
        raise AccountGone from None


async def refresh_account(cashier: Cashier, account_id: str) -> None:
    """Fetches the account and stores its state."""
    asked_at = datetime.now(UTC)
    await note_account(cashier, await cashier.gateway.account(account_id), asked_at)


async def note_account(cashier: Cashier, found: ConnectedState, asked_at: datetime) -> None:
    """Stores the account's state, fetched after `asked_at`, unless a newer one is stored."""
    async with cashier.database.transaction() as session:
        row = await _row_of(session, found)
        if row is None:
            await set_aside(session, "foreign_account", found.id)
            return
        if row.read_at is not None and row.read_at > asked_at:
            return
        was = step_of(row)
        row.account, row.country, row.read_at = found.id, found.country, asked_at
        row.transfers_active = found.transfers == "active"
        row.payouts_enabled = found.payouts_enabled
        row.details_submitted = found.details_submitted
        row.due, row.pending = list(found.due), list(found.pending)
        row.disabled_reason = found.disabled_reason
        if was is not Step.READY and step_of(row) is Step.READY:
            data = {"user_id": str(row.user_id)}
            await emit(session, platform_id=row.platform_id, kind=CREATOR_READY, data=data)


async def _row_of(session: AsyncSession, found: ConnectedState) -> ConnectedAccount | None:
    """Our row of an account: by its id; or by our id in its metadata, if the row has no account yet
    or one that is gone."""
    rows = sa.select(ConnectedAccount).with_for_update()
    row = await session.scalar(rows.where(ConnectedAccount.account == found.id))
    if row is not None:
        return row
    try:
        ours = UUID(found.metadata.get("creator", ""))
    except ValueError:
        return None
    free = sa.or_(
        ConnectedAccount.account.is_(None), ConnectedAccount.disabled_reason == DISCONNECTED
    )
    return await session.scalar(rows.where(ConnectedAccount.id == ours, free))


async def _written(
    session: AsyncSession, cashier: Cashier, principal: Principal
) -> ConnectedAccount:
    row = {
        "id": uuid7(),
        "platform_id": principal.platform_id,
        "user_id": require_user(principal),
        "livemode": cashier.gateway.livemode,
    }
    await session.execute(insert(ConnectedAccount).values(row).on_conflict_do_nothing())
    found = await account_of(session, principal)
    assert found is not None  # noqa: S101 - it is there now
    return found


async def account_closed(cashier: Cashier, account_id: str) -> None:
    """Its owner has disconnected it, or it was deleted: nothing is transferred to it any more."""
    async with cashier.database.transaction() as session:
        row = await session.scalar(
            sa.select(ConnectedAccount)
            .where(ConnectedAccount.account == account_id)
            .with_for_update()
        )
        if row is not None:
            row.transfers_active, row.payouts_enabled = False, False
            row.disabled_reason, row.read_at = DISCONNECTED, datetime.now(UTC)
