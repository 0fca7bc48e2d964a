"""The page that finds what was said. Its script loads it anew while somebody types."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import Field, ValidationInfo, field_validator

from core.auth.dependencies import VisitorDep
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
        values.pop("prefix", None)
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
            found = await search(session, principal=me, wanted=asked.wanted())
        except QueryInvalid as invalid:
            refusal = invalid.detail
    return page(
        request,
        "search/search.html",
        me=me,
        asked=asked,
        found=found,
        refusal=refusal,
        languages=OFFERED,
    )
