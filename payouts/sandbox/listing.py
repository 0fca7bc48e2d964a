"""Cursor lists (docs.stripe.com/api/pagination)."""

from typing import Annotated

from pydantic import Field

from payouts.sandbox.params import Params, Part
from payouts.sandbox.refusal import invalid, missing
from payouts.sandbox.store import Object
from payouts.sandbox.world import Call


class Range(Part):
    gt: int | None = None
    gte: int | None = None
    lt: int | None = None
    lte: int | None = None


class ListParams(Params):
    limit: Annotated[int, Field(ge=1, le=100)] = 10
    starting_after: str | None = None
    ending_before: str | None = None


class CreatedParams(ListParams):
    created: int | Range | None = None


def page_of(
    call: Call,
    kind: str,
    url: str,
    params: ListParams,
    *,
    types: list[str] | None = None,
    **where: object,
) -> Object:
    """A page of this account's objects of a kind, newest first. Raises Refusal."""
    after, before = params.starting_after or None, params.ending_before or None
    if after and before:
        raise invalid("You may not use both starting_after and ending_before.", "starting_after")
    for cursor, name in ((after, "starting_after"), (before, "ending_before")):
        if cursor and call.store.find(cursor, account=call.account) is None:
            raise missing(kind, cursor, name)
    found = call.store.select(
        kind,
        call.account,
        where=where,
        created=_created(params),
        types=types,
        after=after,
        before=before,
        limit=params.limit + 1,
    )
    more = len(found) > params.limit
    data = found[1:] if more and before else found[: params.limit]
    return {"object": "list", "data": data, "has_more": more, "url": url}


def whole(items: list[Object], url: str) -> Object:
    """A list inside of an object, all on one page."""
    return {"object": "list", "data": items, "has_more": False, "url": url}


def _created(params: ListParams) -> dict[str, int]:
    given = getattr(params, "created", None)
    if given is None:
        return {}
    if isinstance(given, int):
        return {"gte": given, "lte": given}
    return {name: moment for name, moment in given.model_dump().items() if moment is not None}
