"""A creator's money at a glance: for the API and for the page."""

from sqlalchemy.ext.asyncio import AsyncSession

from payouts.clock import money_now
from payouts.creators import earnings
from payouts.earned import Earner, arrived, maturing
from payouts.earnings_schemas import EarningsOut, MaturingOut, SumOut
from payouts.models import Creator


async def overview(session: AsyncSession, earner: Earner, *, minimum_minor: int) -> EarningsOut:
    """As of now; all zeros for somebody who never earned. `minimum_minor`: least that is swept."""
    now = await money_now(session)
    creator = await session.get(Creator, (earner.platform_id, earner.creator_id))
    found = await earnings(
        session,
        platform_id=earner.platform_id,
        creator_id=earner.creator_id,
        currency=earner.currency,
        now=now,
    )
    sums = await arrived(session, earner)
    days = await maturing(session, earner, now=now)
    return EarningsOut(
        currency=earner.currency,
        pending_minor=found.pending_minor,
        matured_minor=found.matured_minor,
        on_hold_minor=found.on_hold_minor,
        in_transfer_minor=found.in_transfer_minor,
        transferred_minor=found.transferred_minor,
        arrived=[SumOut(currency=each, amount_minor=sums[each]) for each in sorted(sums)],
        maturing=[MaturingOut.model_validate(each) for each in days],
        minimum_minor=minimum_minor,
        bank_refused_at=creator.payouts_failed_at if creator is not None else None,
    )
