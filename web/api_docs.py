"""The API's document, and its page from our own origin: nothing is fetched elsewhere."""

from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

from core.auth.documented import invalid_request
from web.parameters import describe

THEIRS = ("HTTPValidationError", "ValidationError")
"""What FastAPI says by itself of a request that is not valid; we answer with a problem."""

router = APIRouter(include_in_schema=False)


@router.get("/docs")
def docs() -> HTMLResponse:
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="Encore API",
        swagger_js_url="/static/vendor/swagger-ui-bundle.js",
        swagger_css_url="/static/vendor/swagger-ui.css",
        swagger_favicon_url="/static/icon.svg",
    )


class Api(FastAPI):
    """An application whose document tells of the refusals that it really gives, and what every
    parameter means."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            _tell(super().openapi())
        return super().openapi()


def _tell(document: dict[str, Any]) -> None:
    for operations in document["paths"].values():
        for operation in operations.values():
            describe(operation)
            if "application/json" in operation["responses"].get("422", {}).get("content", {}):
                operation["responses"]["422"] = invalid_request()
    for name in THEIRS:
        document["components"]["schemas"].pop(name, None)
