"""What happened at Stripe and we cannot explain: kept and logged, never posted on a guess.

An operator sees them in `encore money check` and `encore doctor`, and closes them with
`encore money resolve`.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.platforms import ensure_default_platform
from core.errors import NotFound
from payouts.models import LedgerTransaction
from payouts.stripe_facts import MoneyException

log = logging.getLogger(__name__)

UNEXPLAINED: Final = "unexplained_movement"
"""Money moved at Stripe, and nothing of ours says why."""

REFUND_UNPAID: Final = "refund_of_a_leaver_failed"
"""The Stars are back in the wallet of somebody who has left and cannot use them."""

_FOREIGN: Final = "not of Encore: made at Stripe's dashboard, or by another program with this key"
TO_DO: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            *("foreign_checkout", "foreign_charge", "foreign_dispute", "foreign_account"),
            *("foreign_transfer", "foreign_payout", UNEXPLAINED),
        ),
        _FOREIGN,
    ),
    "foreign_refund": "made at Stripe's dashboard: the Stars of its order are still in the wallet; "
    "next time use encore money refund, which takes them out",
    "second_charge": "an order was paid twice: give this charge back at Stripe's dashboard",
    "charge_of_another_amount": "give it back at Stripe's dashboard: it is not what was ordered",
    "settled_in_another_currency": "give it back at Stripe's dashboard, and let Stripe settle in "
    "the currency of the books",
    "second_transfer": "a creator was paid twice: reverse this one at Stripe's dashboard",
    "unknown_event": "take its kind out of the webhook endpoint at Stripe",
    "event_of_another_api_version": "make the webhook endpoint at Stripe anew, with API_VERSION of "
    "payouts/gateway.py; the event itself was worked on",
    "event_of_the_other_mode": "test and live webhook endpoints have each their own Encore",
    REFUND_UNPAID: "its buyer has left, and the money came back: try again by encore money refund, "
    "or pay it yourself and say so by --paid-by-hand",
}
"""What an operator does about each reason. Reasons that are not here are codes of problems, which
the log explains."""


class NothingSetAside(NotFound):
    code = "nothing_set_aside"
    title = "Nothing of this ID is set aside"


async def set_aside(
    session: AsyncSession, reason: str, object_id: str, *, platform_id: UUID | None = None
) -> None:
    """Keeps and logs a `money_exception`, once for each object and reason.

    Without `platform_id` it belongs to the site's own platform.
    """
    owner = platform_id or await ensure_default_platform(session)
    row = {"platform_id": owner, "object_id": object_id, "reason": reason}
    kept = insert(MoneyException).values(row).on_conflict_do_nothing()
    if await session.scalar(kept.returning(MoneyException.id)) is not None:
        log.error("unexplained: %s %s", reason, object_id)


async def waiting(
    session: AsyncSession, platform_id: UUID | None = None
) -> Sequence[MoneyException]:
    """The exceptions that nobody has resolved yet, oldest first; of all platforms unless of one."""
    rows = sa.select(MoneyException).where(MoneyException.resolved_at.is_(None))
    if platform_id is not None:
        rows = rows.where(MoneyException.platform_id == platform_id)
    return (await session.scalars(rows.order_by(MoneyException.id))).all()


async def resolve(session: AsyncSession, object_id: str, *, because: str) -> int:
    """Closes every open exception about this object of Stripe's; returns how many there were.

    Raises NothingSetAside.
    """
    ended = await session.scalars(
        sa.update(MoneyException)
        .where(MoneyException.object_id == object_id, MoneyException.resolved_at.is_(None))
        .values(resolved_at=datetime.now(UTC), resolution=because)
        .returning(MoneyException.id)
    )
    if (count := len(ended.all())) == 0:
        raise NothingSetAside(f"Nothing is set aside of {object_id}.")
    return count


async def resolve_about(
    session: AsyncSession, object_ids: Collection[str], reason: str, *, because: str
) -> None:
    """Closes the open exceptions about these objects that have this reason, if there are any."""
    await session.execute(
        sa.update(MoneyException)
        .where(
            MoneyException.object_id.in_(object_ids),
            MoneyException.reason == reason,
            MoneyException.resolved_at.is_(None),
        )
        .values(resolved_at=datetime.now(UTC), resolution=because)
        .execution_options(synchronize_session=False)
    )


async def resolve_posted(session: AsyncSession) -> None:
    """Closes the exceptions of movements that have been posted since."""
    later = sa.exists().where(LedgerTransaction.balance_transaction == MoneyException.object_id)
    await session.execute(
        sa.update(MoneyException)
        .where(MoneyException.reason == UNEXPLAINED, MoneyException.resolved_at.is_(None), later)
        .values(resolved_at=datetime.now(UTC), resolution="posted")
        .execution_options(synchronize_session=False)
    )
