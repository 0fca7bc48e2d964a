"""The API documents itself: every endpoint has a summary, its refusals, and an example to copy."""

import csv
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from core.settings import Settings
from replay.api import RecordingOut
from transcripts.search_api import SearchRequest
from web.app import create_app
from web.parameters import MEANINGS


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    folder: Path = tmp_path_factory.mktemp("docs")
    return create_app(Settings(data_dir=folder, database_url=SecretStr("postgresql://h/d")))


def operations(app: FastAPI) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
    ]


async def test_the_page_needs_nothing_from_elsewhere(app: FastAPI) -> None:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        page = await http.get("/docs")
        schema = await http.get("/openapi.json")
    assert page.status_code == schema.status_code == 200
    assert "://" not in page.text.replace("http://www.w3.org", "")
    assert schema.json()["info"]["title"] == "Encore"


def test_every_operation_says_what_it_does_and_how_it_refuses(app: FastAPI) -> None:
    for name, operation in operations(app):
        assert operation.get("summary"), name
        assert operation.get("tags"), name
        if name.startswith(("POST", "PUT", "PATCH", "DELETE")):
            assert any(int(code) >= 400 for code in operation["responses"]), name


def test_every_parameter_says_what_it_means(app: FastAPI) -> None:
    """In words of its own, or in those that are the same everywhere, each of which is of use."""
    used = set()
    for name, operation in operations(app):
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description"), (name, parameter["name"])
            if parameter["description"] == MEANINGS.get(parameter["name"]):
                used.add(parameter["name"])
    assert used == MEANINGS.keys()


def test_a_request_that_is_not_valid_is_answered_with_a_problem(app: FastAPI) -> None:
    assert "ValidationError" not in json.dumps(app.openapi())
    told = [
        (name, one["responses"]["422"])
        for name, one in operations(app)
        if "422" in one["responses"]
    ]
    assert told
    for name, response in told:
        assert list(response["content"]) == ["application/problem+json"], name
        schema = response["content"]["application/problem+json"]["schema"]
        assert schema["properties"]["detail"] == {"type": "string"}, name
        assert schema["properties"]["fields"]["items"]["required"] == ["field", "message"], name


def test_no_summary_is_made_of_the_code(app: FastAPI) -> None:
    for name, operation in operations(app):
        summary = operation["summary"]
        function = summary.lower().replace(" ", "_")
        made = summary == summary.title() and operation["operationId"].startswith(f"{function}_")
        assert not made, name


def test_what_takes_a_credential_says_how_it_refuses_one(app: FastAPI) -> None:
    for name, operation in operations(app):
        if operation.get("security"):
            assert "401" in operation["responses"], name
        if "webhook-endpoint" in name:
            assert "403" in operation["responses"], name


def test_files_of_money_are_shown_by_example(app: FastAPI) -> None:
    """Each line of the example has as many cells as its heading."""
    for name in ("{month}.csv", "{month}/entries.csv"):
        told = app.openapi()["paths"][f"/v1/creators/me/statements/{name}"]["get"]["responses"]
        heading, *lines = csv.reader(told["200"]["content"]["text/csv"]["example"].splitlines())
        assert {len(line) for line in lines} == {len(heading)}


def test_the_example_of_a_recording_is_one() -> None:
    (example,) = RecordingOut.model_json_schema()["examples"]
    shown = RecordingOut.model_validate(example).model_dump(mode="json")
    assert shown == example


@pytest.mark.parametrize("name", ["since", "until"])
def test_search_takes_the_times_and_days_that_it_documents(app: FastAPI, name: str) -> None:
    parameters = app.openapi()["paths"]["/v1/search"]["get"]["parameters"]
    (schema,) = [one["schema"] for one in parameters if one["name"] == name]
    assert {one.get("format") for one in schema["anyOf"]} >= {"date-time", "date"}
    for example in schema["examples"]:
        taken = getattr(SearchRequest.model_validate({"q": "sea", name: example}), name)
        assert taken.utcoffset() == timedelta(0)
        assert taken.hour == (21 if "T" in example else 0)


def test_the_ticket_tells_how_to_publish(app: FastAPI) -> None:
    """The endpoints of WHIP are on another origin, and so not in this document."""
    told = app.openapi()["paths"]["/v1/rooms/{room_id}/publish"]["post"]["description"]
    for step in ("RFC 9725", "application/sdp", "Location", "PATCH", "DELETE"):
        assert step in told


def test_no_body_takes_fields_that_it_does_not_know(app: FastAPI) -> None:
    for name, operation in operations(app):
        if "requestBody" in operation and name != "POST /v1/sessions":
            assert body_schema(app, operation)["additionalProperties"] is False, name


def body_schema(app: FastAPI, operation: dict[str, Any]) -> dict[str, Any]:
    reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    schema: dict[str, Any] = app.openapi()["components"]["schemas"][reference.rsplit("/", 1)[1]]
    return schema


def test_every_body_has_an_example(app: FastAPI) -> None:
    for name, operation in operations(app):
        if "requestBody" not in operation:
            continue
        schema = body_schema(app, operation)
        told = "examples" in schema or any(
            "example" in str(field) or "$ref" in str(field) or field.get("type") == "boolean"
            for field in schema["properties"].values()
        )
        assert told, name
