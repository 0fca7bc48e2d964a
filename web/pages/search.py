"""The page that finds what was said. Its script loads it anew while somebody types."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import Field, ValidationInfo, field_validator
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.dependencies import VisitorDep
from core.auth.principal import Principal
from core.http import SessionDep
from core.ratelimit import rate_limit
from transcripts.query import MOST_CHARS, QueryInvalid
from transcripts.search import Found, search
from transcripts.search_api import SEARCH, SearchRequest
from web.pages.languages import OFFERED
from web.pages.render import page
from web.pages.route import PageRoute

router = APIRouter(route_class=PageRoute)


class Asked(SearchRequest):
    """A form without scripts sends what was left empty too."""

    q: str = Field("", max_length=MOST_CHARS)

    @field_validator("*", mode="before")
    @classmethod
    def _unset(cls, value: object, info: ValidationInfo) -> object:
        name = info.field_name or ""
        return cls.model_fields[name].get_default() if value == "" else value

    def address(self, **changes: object) -> str:
        """Of the same search with other values; what is None or the default is left out."""
        values = {**self.model_dump(mode="json", exclude_defaults=True), **changes}
        kept = {name: value for name, value in values.items() if value is not None}
        return f"/search?{urlencode(kept)}"


@router.get("/search", dependencies=[Depends(rate_limit(SEARCH, per_credential=True))])
async def search_page(
    request: Request, session: SessionDep, me: VisitorDep, asked: Annotated[Asked, Query()]
) -> Response:
    found: Found | None = None
    refusal = ""
    if asked.q.strip():
        try:
            asked, found = await _search(session, me, asked)
        except QueryInvalid as invalid:
            refusal = invalid.detail
    return page(
        request,
        "search/search.html",
        me=me,
        asked=asked,
        found=found,
        refusal=refusal,
        only_common=found is not None and asked.wanted().query.wanted_words <= set(found.ignored),
        languages=OFFERED,
    )


async def _search(session: AsyncSession, me: Principal, asked: Asked) -> tuple[Asked, Found]:
    """What nothing is found by may be a word whose beginning has just shown results."""
    found = await search(session, principal=me, wanted=asked.wanted())
    if not found.recordings and not asked.prefix and asked.after is None:
        begun = asked.model_copy(update={"prefix": True})
        also = await search(session, principal=me, wanted=begun.wanted())
        if also.recordings:
            return begun, also
    return asked, found
