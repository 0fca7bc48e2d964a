import contextlib
import urllib.request
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.responses import StreamingResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import REGISTRY

from core.http import install_problem_handlers
from core.ids import uuid7
from core.metrics import instrument
from core.metrics_server import metrics_server
from core.postgres import free_port
from core.settings import Settings


class WithSettings:
    """The part of core.http.Services that /metrics reads."""

    def __init__(self, **values: str) -> None:
        self.settings = Settings(_env_file=None, **values)  # type: ignore[arg-type] # plain strings


def application(process: str, **values: str) -> FastAPI:
    app = FastAPI()
    rooms = APIRouter(prefix="/v1/rooms")

    @rooms.get("/{room_id}")
    async def room(room_id: str) -> dict[str, str]:
        return {"id": room_id}

    @rooms.get("/{room_id}/fail")
    async def fail(room_id: str) -> None:
        raise ZeroDivisionError(room_id)

    @rooms.get("/{room_id}/events")
    async def events(room_id: str) -> StreamingResponse:
        async def chunks() -> AsyncIterator[str]:
            yield room_id

        return StreamingResponse(chunks())

    people = APIRouter(prefix="/rooms/{room_id}")

    @people.post("/join")
    async def join(room_id: str) -> dict[str, str]:
        return {"id": room_id}

    api = APIRouter(prefix="/v1")
    api.include_router(people)
    app.include_router(rooms)
    app.include_router(api)
    app.mount("/static", StaticFiles(directory="."), name="static")
    app.state.services = WithSettings(**values)
    install_problem_handlers(app)
    instrument(app, process=process)
    return app


@contextlib.asynccontextmanager
async def calling(app: FastAPI, host: str = "127.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(host, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def counted(process: str, route: str, status: int, method: str = "GET") -> float:
    labels = {"process": process, "method": method, "route": route, "status": str(status)}
    return REGISTRY.get_sample_value("encore_http_requests_total", labels) or 0.0


async def test_requests_are_counted_by_route_template() -> None:
    process = uuid7().hex
    async with calling(application(process)) as client:
        for number in range(3):
            assert (await client.get(f"/v1/rooms/{number}")).status_code == 200
        await client.get("/v1/rooms/1/fail")
        await client.get("/v1/rooms/1/events")
        await client.get("/nowhere/secret")
        await client.request("BREW", "/v1/rooms/1")
    assert counted(process, "/v1/rooms/{room_id}", 200) == 3
    assert counted(process, "/v1/rooms/{room_id}/fail", 500) == 1
    assert counted(process, "/v1/rooms/{room_id}/events", 200) == 1
    assert counted(process, "unmatched", 404) == 1
    assert counted(process, "/v1/rooms/{room_id}", 405, "OTHER") == 1
    in_flight = REGISTRY.get_sample_value("encore_http_requests_in_flight", {"process": process})
    assert in_flight == 0


async def test_a_router_inside_a_router_is_counted_with_every_prefix() -> None:
    process = uuid7().hex
    async with calling(application(process)) as client:
        assert (await client.post("/v1/rooms/1/join")).status_code == 200
        assert (await client.get("/v1/rooms/1/join")).status_code == 405
    assert counted(process, "/v1/rooms/{room_id}/join", 200, "POST") == 1
    assert counted(process, "/v1/rooms/{room_id}/join", 405) == 1


async def test_a_harmless_request_id_is_kept_and_another_replaced() -> None:
    async with calling(application("t")) as client:
        kept = await client.get("/v1/rooms/1", headers={"X-Request-ID": "from-proxy-1"})
        forged = await client.get("/v1/rooms/1", headers={"X-Request-ID": "a b <script>"})
        made = await client.get("/v1/rooms/1")
    assert kept.headers["x-request-id"] == "from-proxy-1"
    assert len(forged.headers["x-request-id"]) == 32
    assert len(made.headers["x-request-id"]) == 32


async def test_a_direct_caller_of_this_machine_reads_metrics() -> None:
    async with calling(application("t")) as client:
        await client.get("/v1/rooms/1")
        answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert 'encore_http_requests_total{method="GET",process="t"' in answer.text


@pytest.mark.parametrize(
    ("host", "header"),
    [("192.0.2.1", "x"), ("", "x"), ("127.0.0.1", "X-Forwarded-For"), ("127.0.0.1", "Forwarded")],
)
async def test_others_are_not_told_that_there_are_metrics(host: str, header: str) -> None:
    async with calling(application("t"), host) as client:
        assert (await client.get("/metrics", headers={header: "192.0.2.9"})).status_code == 404


async def test_a_bearer_reads_metrics_from_anywhere() -> None:
    async with calling(application("t", metrics_token="s3cret"), "192.0.2.1") as client:
        good = await client.get("/metrics", headers={"Authorization": "Bearer s3cret"})
        bad = await client.get("/metrics", headers={"Authorization": "Bearer s3creT"})
    assert (good.status_code, bad.status_code) == (200, 404)


def test_a_process_without_http_serves_its_metrics_on_a_port() -> None:
    port = free_port()
    with metrics_server("127.0.0.1", port):
        url = f"http://127.0.0.1:{port}/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            assert b"encore_http_requests" in answer.read()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=5)


def test_without_a_port_there_is_no_server() -> None:
    with metrics_server("127.0.0.1", None):
        pass
