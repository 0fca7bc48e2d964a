"""Metrics of processes that have no HTTP of their own."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import start_http_server


@contextmanager
def metrics_server(host: str, port: int | None) -> Iterator[None]:
    """Answers in a thread; does nothing without a port."""
    if port is None:
        yield
        return
    server, thread = start_http_server(port, addr=host)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
