"""Problems in the OpenAPI document: status, code and text of every refusal of a route."""

from typing import Any

from core.errors import Invalid, Problem

_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "stable; switch on this"},
        "detail": {"type": "string"},
    },
}

_FIELD = {
    "type": "object",
    "required": ["field", "message"],
    "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
}
_INVALID_SCHEMA = {
    **_SCHEMA,
    "properties": {
        **_SCHEMA["properties"],
        "fields": {
            "type": "array",
            "items": _FIELD,
            "description": "with the code `invalid`: the first wrong fields of the request",
        },
    },
}


def problems(*raised: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses=`; one example per class."""
    responses: dict[int | str, dict[str, Any]] = {}
    for problem in raised:
        response = responses.setdefault(problem.status, _response(problem.status))
        response["description"] = " or ".join(
            filter(None, [response["description"], f"`{problem.code}`"])
        )
        examples = response["content"]["application/problem+json"]["examples"]
        examples[problem.code] = {"summary": problem.title, "value": _example(problem)}
    return responses


def invalid_request() -> dict[str, Any]:
    """The response of any route to a request that is not valid."""
    response = problems(Invalid)[Invalid.status]
    field = {"field": "title", "message": "Field required"}
    shown = Invalid("title: Field required", fields=[field]).body()
    response["content"]["application/problem+json"]["examples"][Invalid.code]["value"] = shown
    return response


def _response(status: int) -> dict[str, Any]:
    schema = _INVALID_SCHEMA if status == Invalid.status else _SCHEMA
    content = {"application/problem+json": {"schema": schema, "examples": {}}}
    return {"description": "", "content": content}


def _example(problem: type[Problem]) -> dict[str, Any]:
    return {
        "type": f"urn:encore:problem:{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.title,
    }
