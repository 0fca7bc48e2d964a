"""Encore's own pages: rendered on the server, brought to life by small modules, no build step.

They read through the domain's functions and write through the public API only, from the
browser, so that they can do nothing that another application could not.
"""

from fastapi import APIRouter, Depends

from web.pages import accounts, earnings, groups, room, room_list, search, stars, wallet
from web.pages.errors import install_error_pages
from web.pages.route import PageRoute, remember_visitor

router = APIRouter(
    include_in_schema=False, route_class=PageRoute, dependencies=[Depends(remember_visitor)]
)
for part in (accounts, room_list, room, groups, search, stars, wallet, earnings):
    router.include_router(part.router)

__all__ = ["install_error_pages", "router"]
