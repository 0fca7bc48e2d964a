"""The route class of pages: their refusals are pages too."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from core.auth.dependencies import VisitorDep
from web.pages.errors import REFUSALS, error_page


async def remember_visitor(request: Request, me: VisitorDep) -> None:
    """For the page of a refusal, which is made outside of the endpoint."""
    request.state.visitor = me


class PageRoute(APIRoute):
    """Pages only read, so the transaction of a refused one may end either way."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_or_explain(request: Request) -> Response:
            try:
                return await handle(request)
            except REFUSALS as error:
                return error_page(request, error)

        return handle_or_explain
