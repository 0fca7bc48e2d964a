"""Problems in the OpenAPI document: status, code and text of every refusal of a route."""

from typing import Any

from core.errors import Problem

_SCHEMA = {
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


def problems(*raised: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses=`; one example per class."""
    responses: dict[int | str, dict[str, Any]] = {}
    for problem in raised:
        response = responses.setdefault(problem.status, _response())
        response["description"] = " or ".join(
            filter(None, [response["description"], f"`{problem.code}`"])
        )
        examples = response["content"]["application/problem+json"]["examples"]
        examples[problem.code] = {"summary": problem.title, "value": _example(problem)}
    return responses


def _response() -> dict[str, Any]:
    content = {"application/problem+json": {"schema": _SCHEMA, "examples": {}}}
    return {"description": "", "content": content}


def _example(problem: type[Problem]) -> dict[str, Any]:
    return {
        "type": f"urn:encore:problem:{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.title,
    }
